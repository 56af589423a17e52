/** Said where an answer of the API holds less than there is. */
import { Notice } from '../../ui/index.ts';

/** `isCut`: the answer's `truncated`. */
export function TruncatedNotice({ isCut }: { readonly isCut: boolean }) {
  if (!isCut) return null;
  return (
    <div className="usage-cut">
      <Notice tone="warn">
        There is more than the server counts for one answer, so this is not all of it: choose a shorter time
        or a single name.
      </Notice>
    </div>
  );
}

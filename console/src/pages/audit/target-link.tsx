/** Where an entry's target is shown, if it is a thing with a page. */
import { Link } from 'react-router';

const PLACES: readonly (readonly [start: string, place: string])[] = [
  ['apr_', '/approvals/'],
  ['req_', '/requests/'],
];

export function TargetLink({ target }: { readonly target: string }) {
  const place = PLACES.find(([start]) => target.startsWith(start))?.[1];
  if (place === undefined) return <code className="stranger">{shownTarget(target)}</code>;
  return (
    <Link className="stranger" to={`${place}${encodeURIComponent(target)}`}>
      {target}
    </Link>
  );
}

/** An empty one is the server's own. */
export function shownTarget(target: string): string {
  return target === '' ? '–' : target;
}

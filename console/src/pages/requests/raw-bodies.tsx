/** Both bodies of a request as they were on the wire. */
import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { bytes } from '../../format/index.ts';
import { type Reading, reasonOf, useReader } from '../../records/reading.tsx';
import { CodeBlock, JsonTree, Loaded, Notice } from '../../ui/index.ts';

interface Part {
  readonly content_type: string | null;
  readonly bytes: number;
  readonly encoding: 'utf8' | 'base64';
  readonly data: string;
  readonly truncated: boolean;
}

export function RawBodies({ id, reading }: { readonly id: string; readonly reading: Reading }) {
  const read = useReader();
  const bodies = useQuery({
    queryKey: ['requests', 'body', id, reading.reason],
    queryFn: ({ signal }) =>
      read(() =>
        dataOf(
          api.GET('/api/v1/requests/{id}/body', {
            params: { path: { id }, query: reasonOf(reading) },
            signal,
          }),
        ),
      ),
    retry: false,
    staleTime: Infinity,
    ...(reading.reason === null ? {} : { gcTime: 0 }),
  });
  return (
    <Loaded query={bodies} what="The bodies could not be loaded">
      {(data) => (
        <>
          <BodyPart name="Request" part={data.request} />
          <BodyPart name="Answer" part={data.response} />
          {data.response_truncated && (
            <Notice tone="warn">The answer was longer than what Postern keeps of one.</Notice>
          )}
        </>
      )}
    </Loaded>
  );
}

function BodyPart({ name, part }: { readonly name: string; readonly part: Part }) {
  const value = part.encoding === 'utf8' && !part.truncated ? jsonOf(part.data) : undefined;
  return (
    <section className="stack" aria-label={name}>
      <h3>
        {name}{' '}
        <span className="soft small-text">
          {bytes(part.bytes)}, {part.content_type ?? 'no media type'}
        </span>
      </h3>
      {value !== undefined && <JsonTree value={value} label={name} />}
      <details open={value === undefined}>
        <summary className="soft">As text</summary>
        <CodeBlock
          title={part.encoding === 'base64' ? `${name}, in base64` : name}
          text={part.data === '' ? '(empty)' : part.data}
          maxHeight={420}
        />
      </details>
      {part.truncated && <p className="soft">The first part of it; the API gives all with `part`.</p>}
    </section>
  );
}

function jsonOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

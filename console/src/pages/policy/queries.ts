/** What the policy page asks. Everything about the document has keys that begin with `config`. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, dataOf, type Schema } from '../../api/client.ts';

export type PolicyDocument = Schema<'Document'>;
export type Problem = Schema<'DocumentProblem'>;

/** A test of the document that does not hold; its members are as the server told them. */
export interface TestFailure {
  readonly path: string;
  readonly expected: string;
  readonly got: string;
  readonly model: string | null;
  readonly detail: string;
}

/** 10 s: whoever edits should learn soon that another version came into force. */
const DOCUMENT_EVERY_MS = 10_000;

/** The document in force, with its tag. */
export function documentQuery() {
  return queryOptions({
    queryKey: ['config', 'document'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/config', { signal })),
    refetchInterval: DOCUMENT_EVERY_MS,
  });
}

/** JSON Schema of the document; it changes with the server only. */
export function schemaQuery() {
  return queryOptions({
    queryKey: ['config-schema'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/config/schema', { signal })),
    staleTime: Infinity,
  });
}

/** What a save of this text would say. For admins. */
export function checkQuery(text: string, version: number) {
  return queryOptions({
    queryKey: ['config', 'check', version, text],
    queryFn: async ({ signal }) => {
      const found = await dataOf(api.POST('/api/v1/config/validate', { body: { text }, signal }));
      return {
        text,
        valid: found.valid,
        problems: found.problems,
        failures: found.test_failures.map(testFailure),
      };
    },
    staleTime: 60_000,
    gcTime: 10_000,
  });
}

export type Check = Awaited<ReturnType<NonNullable<ReturnType<typeof checkQuery>['queryFn']>>>;

/** One page of versions, newest first; `cursor` null for the first. */
export function versionsQuery(cursor: number | null) {
  const query = cursor === null ? {} : { cursor };
  return queryOptions({
    queryKey: ['config', 'versions', cursor],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/config/versions', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** Unified diff of two versions. */
export function diffQuery(from: number, to: number) {
  return queryOptions({
    queryKey: ['config', 'diff', from, to],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/config/diff', { params: { query: { from, to } }, signal })),
    staleTime: Infinity,
  });
}

/** A failure from unchecked data of the server: what is no text is empty. */
export function testFailure(value: unknown): TestFailure {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  const text = (name: string): string => {
    const found: unknown = members.find(([key]) => key === name)?.[1];
    return typeof found === 'string' ? found : '';
  };
  const model = text('model');
  return {
    path: text('path'),
    expected: text('expected'),
    got: text('got'),
    model: model === '' ? null : model,
    detail: text('detail'),
  };
}

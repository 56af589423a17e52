/** What the pages of approvals ask and do. */
import { queryOptions } from '@tanstack/react-query';
import { api, dataOf, type Schema } from '../../api/client.ts';
import type { paths } from '../../api/schema.d.ts';
import { ApiProblem } from '../../api/problem.ts';
import type { ApprovalDetail } from './approval-texts.ts';

type ListFilter = NonNullable<paths['/api/v1/approvals']['get']['parameters']['query']>;
export type Decision = Schema<'ApprovalDecision'>;

/** A list, newest first. */
export function approvalsQuery(filter: ListFilter) {
  return queryOptions({
    queryKey: ['approvals', 'list', filter],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/approvals', { params: { query: filter }, signal })),
  });
}

/**
 * One, with its words where the viewer may read them. Reading those of others is written to the audit
 * log, so nothing but the viewer or news of this approval asks for it again; hence a key of its own.
 */
export function approvalQuery(id: string) {
  return queryOptions({
    queryKey: ['approval', id],
    queryFn: ({ signal }) => readApproval(id, signal),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

/** As the server shows it now. */
export async function readApproval(id: string, signal?: AbortSignal): Promise<ApprovalDetail> {
  return dataOf(
    api.GET('/api/v1/approvals/{id}', {
      params: { path: { id } },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

/** With its words; rejects with `presence_required` where they are shown in person only. */
export async function readInPerson(id: string): Promise<ApprovalDetail> {
  const detail = await readApproval(id);
  if (detail.content !== 'presence_required') return detail;
  throw new ApiProblem({
    status: 403,
    code: 'presence_required',
    title: 'Presence required',
    detail: 'the whole call is shown to you in person only',
    requestId: null,
    presenceUrl: '/presence',
    members: {},
  });
}

export async function decideApproval(id: string, body: Decision): Promise<Schema<'Approval'>> {
  return dataOf(api.POST('/api/v1/approvals/{id}/decision', { params: { path: { id } }, body }));
}

export async function withdrawApproval(id: string): Promise<unknown> {
  return dataOf(api.DELETE('/api/v1/approvals/{id}', { params: { path: { id } } }));
}

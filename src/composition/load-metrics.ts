/** What the process holds at this moment, for /metrics: figures that return to zero when nobody calls. */

/** Lines in Prometheus' text format. */
export function renderLoad(activeExchanges: number, bodyBytesHeld: number): string {
  return [
    '# HELP postern_requests_active Requests whose caller is known and whose answer has not ended.',
    '# TYPE postern_requests_active gauge',
    `postern_requests_active ${activeExchanges}`,
    '# HELP postern_request_body_bytes_held Bytes of request bodies in memory.',
    '# TYPE postern_request_body_bytes_held gauge',
    `postern_request_body_bytes_held ${bodyBytesHeld}`,
    '',
  ].join('\n');
}

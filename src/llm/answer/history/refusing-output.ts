/** The result that a refused call gets, in the item type that answers it (OpenAI API reference, input items of Responses). */
import { asArray, asRecord, asText, get, type JsonRecord } from '../streams/event-json.ts';

/** A picture of one transparent pixel: the result of a computer call must be a screenshot. */
const NO_PICTURE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** The items that answer a refused call: its result, and the text beside it where the result can hold none. */
export function refusingOutput(item: JsonRecord, text: string): JsonRecord[] {
  const type = asText(item['type']) ?? '';
  const call_id = asText(item['call_id']) ?? asText(item['id']);
  switch (type) {
    case 'mcp_approval_request':
      return [
        { type: 'mcp_approval_response', approval_request_id: item['id'], approve: false, reason: text },
      ];
    case 'shell_call':
      return [shellOutput(item, call_id, text)];
    case 'apply_patch_call':
      return [{ type: 'apply_patch_call_output', call_id, status: 'failed', output: text }];
    case 'tool_search_call':
      return [{ type: 'tool_search_output', call_id, execution: 'client', status: 'completed', tools: [] }];
    case 'computer_call':
      return computerOutput(item, call_id, text);
    default:
      return [{ type: `${type}_output`, call_id, output: text }];
  }
}

function shellOutput(item: JsonRecord, call_id: string | null, text: string): JsonRecord {
  // The limit of the call must come back with its result.
  const limit = get(item['action'], 'max_output_length');
  return {
    type: 'shell_call_output',
    call_id,
    ...(typeof limit === 'number' ? { max_output_length: limit } : {}),
    output: [{ stdout: '', stderr: text, outcome: { type: 'exit', exit_code: 1 } }],
  };
}

function computerOutput(item: JsonRecord, call_id: string | null, text: string): JsonRecord[] {
  // Checks that stay open would end the conversation; nothing was run, so there is nothing to check.
  const acknowledged_safety_checks = asArray(item['pending_safety_checks']).flatMap(
    (check) => asRecord(check) ?? [],
  );
  return [
    {
      type: 'computer_call_output',
      call_id,
      output: { type: 'computer_screenshot', image_url: NO_PICTURE },
      ...(acknowledged_safety_checks.length === 0 ? {} : { acknowledged_safety_checks }),
    },
    { role: 'developer', content: text },
  ];
}

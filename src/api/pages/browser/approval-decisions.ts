/** The decision on an approval: for how long, with which change, why. */
import { type CardParts, doneText, durationText, spread, titleOf } from './approval-texts.ts';
import { inPerson } from './passkeys.ts';
import { at, call, create, listOf, numberOf, parseJson, say, sayFailure, textOf } from './shared.ts';

/** The form below the whole call. */
export function decisionForm(detail: unknown, parts: CardParts): HTMLElement {
  const id = textOf(detail, 'id') ?? '';
  const form = create('div', '', { class: 'decision' });
  const scope = scopeChoice(detail, `${id}-scope`);
  const reason = create('input', '', { id: `${id}-reason`, maxlength: '1000', autocomplete: 'off' });
  const edit = editField(detail, `${id}-edit`);
  const approve = create('button', 'Approve', { type: 'button', class: 'main' });
  const deny = create('button', 'Deny', { type: 'button' });
  const run = (button: HTMLElement, bodyOf: () => Record<string, unknown>): void => {
    button.addEventListener('click', () => {
      decide(id, bodyOf, parts).catch(sayFailure);
    });
  };
  const reasonOf = (): Record<string, unknown> => {
    const text = valueOf(reason).trim();
    return text === '' ? {} : { reason: text };
  };
  run(approve, () => ({
    verdict: 'approve',
    ...scopeBody(valueOf(scope)),
    ...(edit === null ? {} : editBody(valueOf(edit.field), edit.before, detail)),
    seen_edits: numberOf(detail, 'edits') ?? 0,
    ...reasonOf(),
  }));
  run(deny, () => ({ verdict: 'deny', ...reasonOf() }));
  const buttons = create('p', '', { class: 'buttons' });
  buttons.append(approve, ' ', deny);
  form.append(
    ...(edit === null ? [] : [edit.part]),
    create('label', 'If approved, it holds', { for: `${id}-scope` }),
    scope,
    create('label', 'Reason (of a denial, told to who asked)', { for: `${id}-reason` }),
    reason,
    buttons,
  );
  return form;
}

export async function decide(
  id: string,
  bodyOf: () => Record<string, unknown>,
  parts: CardParts,
): Promise<void> {
  const body = bodyOf();
  const path = `/api/v1/approvals/${encodeURIComponent(id)}/decision`;
  const decided = await inPerson(() => call('POST', path, body));
  await parts.refresh(id);
  say(`${titleOf(decided)}: ${doneText(decided)}.`);
}

export function scopeChoice(detail: unknown, id: string): HTMLElement {
  const choice = create('select', '', { id });
  const scopes = listOf(detail, 'scopes');
  const option = (value: string, text: string): void => {
    choice.append(create('option', text, { value }));
  };
  if (textOf(detail, 'kind') !== 'model') option('once', 'once, for exactly this');
  if (scopes.includes('session') && textOf(detail, 'session_id') !== null)
    option('session', 'for this session, for exactly this');
  if (scopes.includes('time'))
    for (const seconds of durations(numberOf(detail, 'max_duration_sec') ?? 3_600))
      option(
        `time ${seconds}`,
        `for ${durationText(seconds)}${textOf(detail, 'kind') === 'model' ? '' : ', for exactly this'}`,
      );
  return choice;
}

/** What people choose, up to the most that policy allows. */
export function durations(mostSec: number): number[] {
  const usual = [900, 3_600, 8 * 3_600, 86_400, 7 * 86_400].filter((seconds) => seconds < mostSec);
  return [...usual, Math.floor(mostSec)];
}

export function scopeBody(value: string): Record<string, unknown> {
  const [scope = 'once', seconds] = value.split(' ');
  return seconds === undefined ? { scope } : { scope, duration_sec: Number(seconds) };
}

/** Where policy lets an approver change what runs; null where not, or where it is not all here. */
export function editField(
  detail: unknown,
  id: string,
): { readonly part: HTMLElement; readonly field: HTMLElement; readonly before: string } | null {
  const words = textOf(detail, 'arguments');
  const isWhole = words !== null && at(detail, 'arguments_cut') !== true;
  if (textOf(detail, 'kind') !== 'tool' || at(detail, 'allow_edit') !== true || !isWhole) return null;
  const edited = at(detail, 'edited_arguments');
  const before = spread(edited === undefined ? words : JSON.stringify(edited));
  const part = create('details', '');
  const field = create('textarea', before, { id, rows: '8', spellcheck: 'false', autocomplete: 'off' });
  part.append(
    create('summary', 'Change what runs'),
    create('label', 'What runs in its place', { for: id }),
    field,
  );
  return { part, field, before };
}

/** Nothing where the text is as it was. Throws where JSON became something else. */
export function editBody(text: string, before: string, detail: unknown): Record<string, unknown> {
  if (text === before) return {};
  const wasJson = parseJson(textOf(detail, 'arguments') ?? '') !== null;
  const edited = wasJson ? parseJson(text) : text;
  if (edited === null)
    throw new Error('What runs in its place must be JSON, as before: see its quotes and commas.');
  return { edited };
}

/** What somebody typed or chose. */
export function valueOf(field: HTMLElement): string {
  if (
    field instanceof HTMLInputElement ||
    field instanceof HTMLSelectElement ||
    field instanceof HTMLTextAreaElement
  )
    return field.value;
  throw new Error('no field');
}

/** For who asked: as long as it is open, or granted and not used up. */
export function takeBackButton(item: unknown, parts: CardParts): HTMLElement[] {
  const id = textOf(item, 'id') ?? '';
  const state = textOf(item, 'state');
  if (state !== 'pending' && state !== 'approved') return [];
  const row = create('p', '', { class: 'buttons' });
  const button = create('button', 'Take it back', {
    type: 'button',
    class: 'small',
    'aria-label': `Take it back: ${titleOf(item)}`,
  });
  button.addEventListener('click', () => {
    call('DELETE', `/api/v1/approvals/${encodeURIComponent(id)}`)
      .then(async () => {
        await parts.refresh(id);
        say('It is taken back.');
      })
      .catch(sayFailure);
  });
  row.append(button);
  return [row];
}

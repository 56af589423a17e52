/** Actions of the audit log in words; one that is not known here is shown as it is. */

const WORDS: Readonly<Record<string, string>> = {
  'approval.approve': 'Approved',
  'approval.deny': 'Denied',
  'approval.read': 'Read what an approval holds',
  'approval.withdraw': 'Took an approval back',
  'audit.export': 'Exported the audit log',
  'budget.refill': 'Refilled a budget',
  claim: 'Claimed the server',
  'config.rollback': 'Went back to a version of the document',
  'config.save': 'Saved the document',
  'grant.remove': 'Removed a stored grant',
  'hook.retry': 'Sent a dead letter again',
  'jwt.allow': 'Allowed an external token again',
  'jwt.deny': 'Refused an external token',
  'key.add': 'Added a key',
  'key.promote': 'Promoted a key',
  'key.retire': 'Retired a key',
  'key.revoke': 'Revoked a key',
  'passkey.add': 'Added a passkey',
  'passkey.remove': 'Removed a passkey',
  'presence.approve': 'Let a command line be present',
  'presence.end': 'Ended presence',
  'presence.show': 'Showed presence',
  'prompt.read': 'Read a prompt of somebody',
  'token.create': 'Minted a token',
  'token.revoke': 'Revoked a token',
};

/** `key.revoke` → `Revoked a key`; `….failed` is what was tried. */
export function actionText(action: string): string {
  const tried = action.replace(/\.failed$/, '');
  const words = Object.hasOwn(WORDS, tried) ? WORDS[tried] : undefined;
  if (words === undefined) return action;
  return tried === action ? words : `Tried: ${words.charAt(0).toLowerCase()}${words.slice(1)}`;
}

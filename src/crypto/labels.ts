/**
 * Labels under which keys are derived from the master key, one for each purpose, so that a key of
 * one purpose tells nothing about another's. A label is part of stored data's meaning: never
 * change one; add a new one with a higher number and re-seal.
 */
export const KEY_LABELS = {
  /** Seals stored request and answer bodies. */
  bodySeal: 'postern/body-seal/1',
  /** Keyed hashes of body items and of conversation prefixes. */
  bodyHash: 'postern/body-hash/1',
  /** Chain and checkpoints of the audit log. */
  audit: 'postern/audit/1',
  /** Seals provider keys. */
  vault: 'postern/vault/1',
  /** Hashes of Postern's own tokens. */
  tokenHash: 'postern/token-hash/1',
  /** Claim links, one-time links and console sessions. */
  presence: 'postern/presence/1',
  /** Seals what approvals keep of calls. */
  approvalSeal: 'postern/approval-seal/1',
  /** Keyed hashes of what an approval is bound to. */
  approvalHash: 'postern/approval-hash/1',
  /** Signatures of what hooks are sent. */
  hooks: 'postern/hooks/1',
  /** Placeholders of redacted values. */
  redaction: 'postern/redaction/1',
  /** Seals and names what deciding remembers over a restart. */
  memory: 'postern/memory/1',
  /** The key of the coordination server that devices encrypt to. */
  control: 'postern/control/1',
  /** Hashes of the keys by which devices join. */
  authKeyHash: 'postern/auth-key-hash/1',
  /** Secrets of tailnets' webhooks, under the key of auth keys. */
  tailnetWebhooks: 'postern/tailnet-webhooks/1',
  /** Everything else that is short-lived and signed. */
  session: 'postern/session/1',
} as const;

/**
 * The half of presence that only this origin can read (docs/design/0003-presence-in-two-halves.md).
 * The other half is a cookie that no script can read.
 */
const NAME = 'postern_presence_proof';

/** The proof, or null if this browser never showed presence or the browser keeps no storage. */
export function presenceProof(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** Keeps the proof for later calls. Throws where the browser keeps no storage: presence cannot hold there. */
export function keepPresenceProof(proof: string): void {
  localStorage.setItem(NAME, proof);
}

/** Forgets the proof. */
export function forgetPresenceProof(): void {
  try {
    localStorage.removeItem(NAME);
  } catch {
    // Where there is no storage there is nothing to forget.
  }
}

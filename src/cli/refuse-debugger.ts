/**
 * Node.js opens a debugger on loopback when it gets SIGUSR1 (nodejs.org/api/process.html#signal-events):
 * any program of the same user, an agent too, could so become the process, with its keys and its
 * presence, even where the system forbids it to trace others; and the port is open to every user.
 */

/** From now on the signal does nothing but be reported. */
export function refuseDebugger(report: (text: string) => void): void {
  process.on('SIGUSR1', () => report('SIGUSR1 asks for a debugger, which postern serve never opens'));
}

/** The deny-list of JWTs in memory, for the tests of this folder. */
import type { JwtDenialsPort, JwtDenialView } from './ports.ts';

export function memoryDenials(denials: JwtDenialView[], now: () => number): JwtDenialsPort {
  return {
    list: () => denials,
    async add(denied, createdBy) {
      const denial = { id: `deny_${denials.length + 1}`, denied, createdAt: now(), createdBy };
      denials.push(denial);
      return denial;
    },
    async remove(id) {
      const at = denials.findIndex((denial) => denial.id === id);
      if (at >= 0) denials.splice(at, 1);
      return at >= 0;
    },
  };
}

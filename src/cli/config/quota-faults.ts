/** Quotas of a document that limit less than they seem to. Saving does not refuse them. */
import type { GatewayDocument } from '../../policy/index.ts';

export interface QuotaWarning {
  /** `broken`: requests under it are refused. */
  readonly kind: 'broken' | 'weak';
  /** `quotas["name"]`. */
  readonly path: string;
  readonly message: string;
  readonly fix: string;
}

/** In the order of the document. */
export async function quotaWarnings(document: GatewayDocument): Promise<readonly QuotaWarning[]> {
  // Loaded for the commands that check documents only.
  const { checkQuotas, usedQuotas } = await import('../../quotas/index.ts');
  const path = (name: string): string => `quotas[${JSON.stringify(name)}]`;
  const warnings: QuotaWarning[] = checkQuotas(document.quotas).map(({ quota, kind, message }) => ({
    kind,
    path: path(quota),
    message,
    fix: 'see docs/budgets.md',
  }));
  const used = usedQuotas(document);
  for (const { name, reserve } of document.quotas.values()) {
    if (reserve === 'none')
      warnings.push({
        kind: 'weak',
        path: path(name),
        message: `quota "${name}" reserves nothing: requests at the same time overrun it`,
        fix: 'leave "reserve" out, or write "bounded"',
      });
    if (!used.has(name))
      warnings.push({
        kind: 'weak',
        path: path(name),
        message: `quota "${name}" limits nobody: no grant of the document names it`,
        fix: 'name it in the "quotas" of a grant, or remove it',
      });
  }
  return warnings;
}

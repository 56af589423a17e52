/** The nonce of this page's content policy, for parts that make `<style>` elements themselves (CodeMirror). */
export function styleNonce(): string {
  const meta = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]');
  return meta?.nonce ?? '';
}

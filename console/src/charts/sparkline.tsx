/** A small line without axes beside a figure; `label` says in words what it shows. */
const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ values, label }: { readonly values: readonly number[]; readonly label: string }) {
  if (values.length < 2 || values.every((value) => value === 0)) return null;
  const top = Math.max(...values, 1e-12);
  const at = (value: number, index: number): string =>
    `${((index / (values.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (Math.max(0, value) / top) * (HEIGHT - 4)).toFixed(1)}`;
  const line = values.map(at).join(' ');
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={label}
      preserveAspectRatio="none"
    >
      <polygon points={`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} className="sparkline-area" />
      <polyline points={line} className="sparkline-line" fill="none" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

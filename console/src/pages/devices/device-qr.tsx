/** A QR code (ISO/IEC 18004) of a configuration, drawn here: what it holds goes to nobody. */
import { encode } from 'uqr';

/** Light modules around it that readers need (section 5.3.8). */
const QUIET_ZONE = 4;

export function DeviceQr({ text, label }: { readonly text: string; readonly label: string }) {
  const { data, size } = encode(text, { border: QUIET_ZONE });
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return (
    <svg className="device-qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`}>
      <rect width={size} height={size} className="device-qr-light" />
      <path d={dark.join('')} className="device-qr-dark" shapeRendering="crispEdges" />
    </svg>
  );
}

/** The drawing of `Bars`; hidden from screen readers, which have the table. */
import { Bar, BarChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import { type BarsProps, seriesColour, shortened } from './shapes.ts';

export function BarsChart({ bars, format }: BarsProps) {
  return (
    <ResponsiveContainer width="100%" height="100%">
      <BarChart
        data={[...bars]}
        layout="vertical"
        margin={{ top: 0, right: 16, bottom: 0, left: 8 }}
        accessibilityLayer={false}
      >
        <XAxis type="number" tickFormatter={format} stroke="var(--soft)" tickLine={false} fontSize={12} />
        <YAxis
          type="category"
          dataKey="label"
          width={160}
          stroke="var(--soft)"
          tickLine={false}
          axisLine={false}
          fontSize={12}
          tickFormatter={(label) => shortened(String(label))}
        />
        <Tooltip
          isAnimationActive={false}
          formatter={(value) => format(Number(value))}
          cursor={{ fill: 'var(--hover)' }}
          contentStyle={{ background: 'var(--card)', border: '1px solid var(--line)', borderRadius: 8 }}
        />
        <Bar
          dataKey="value"
          name="Amount"
          fill={seriesColour(0)}
          isAnimationActive={false}
          maxBarSize={24}
          radius={[0, 3, 3, 0]}
        />
      </BarChart>
    </ResponsiveContainer>
  );
}

/** The drawing of `StackedTimeSeries`; hidden from screen readers, which have the table. */
import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import { seriesColour, shortened, type SeriesPoint, type SeriesProps } from './shapes.ts';

export function SeriesChart({ series, points, format, timeLabel }: SeriesProps) {
  return (
    <ResponsiveContainer width="100%" height="100%">
      <BarChart
        data={[...points]}
        margin={{ top: 8, right: 8, bottom: 0, left: 8 }}
        accessibilityLayer={false}
      >
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis
          dataKey="at"
          tickFormatter={timeLabel}
          stroke="var(--soft)"
          tickLine={false}
          minTickGap={24}
          fontSize={12}
        />
        <YAxis
          tickFormatter={format}
          stroke="var(--soft)"
          tickLine={false}
          axisLine={false}
          width={64}
          fontSize={12}
        />
        <Tooltip
          isAnimationActive={false}
          labelFormatter={(label) => timeLabel(typeof label === 'string' ? label : '')}
          formatter={(value) => format(Number(value))}
          cursor={{ fill: 'var(--hover)' }}
          contentStyle={{ background: 'var(--card)', border: '1px solid var(--line)', borderRadius: 8 }}
        />
        <Legend iconType="circle" iconSize={8} />
        {series.map(({ id, label }, index) => (
          <Bar
            key={id}
            // A function, for a name in text would be read as a path.
            dataKey={(point: SeriesPoint) => point.values[id] ?? 0}
            name={shortened(label)}
            stackId="all"
            fill={seriesColour(index)}
            isAnimationActive={false}
            maxBarSize={40}
          />
        ))}
      </BarChart>
    </ResponsiveContainer>
  );
}

/** A span of time: presets, or two times in the viewer's zone. */
import { useState } from 'react';
import { type Range, RANGES } from '../time-range.ts';
import { Button } from './buttons.tsx';
import { Select } from './fields.tsx';

const OPTIONS = [...RANGES, { id: 'custom', label: 'Custom …' }] as const;

export function DateRange({
  value,
  onChange,
  label = 'Time',
}: {
  readonly value: Range;
  readonly onChange: (range: Range) => void;
  readonly label?: string;
}) {
  const [isCustom, setCustom] = useState(false);
  const shown = isCustom || value.preset === null ? 'custom' : value.preset;
  return (
    <div className="date-range">
      <Select
        small
        label={label}
        options={OPTIONS}
        value={shown}
        onChange={(id) => {
          setCustom(id === 'custom');
          if (id !== 'custom') onChange({ preset: id, from: null, to: null });
        }}
      />
      {shown === 'custom' && (
        <Custom
          key={`${value.from ?? ''}${value.to ?? ''}`}
          value={value}
          onChange={(range) => {
            setCustom(false);
            onChange(range);
          }}
        />
      )}
    </div>
  );
}

function Custom({ value, onChange }: { readonly value: Range; readonly onChange: (range: Range) => void }) {
  const [from, setFrom] = useState(localText(value.from));
  const [to, setTo] = useState(localText(value.to));
  const isValid = from !== '' && (to === '' || Date.parse(from) < Date.parse(to));
  const field = (name: string, text: string, set: (text: string) => void) => (
    <label className="field small">
      <span className="label">{name}</span>
      <input
        className="input"
        type="datetime-local"
        value={text}
        onChange={(event) => set(event.target.value)}
      />
    </label>
  );
  return (
    <>
      {field('From', from, setFrom)}
      {field('To (empty: now)', to, setTo)}
      <Button
        isDisabled={!isValid}
        onPress={() =>
          onChange({
            preset: null,
            from: new Date(from).toISOString(),
            to: to === '' ? null : new Date(to).toISOString(),
          })
        }
      >
        Show
      </Button>
    </>
  );
}

/** What a `datetime-local` field takes: the viewer's own time without a zone. */
function localText(iso: string | null): string {
  if (iso === null) return '';
  const time = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Which model, in which format, with which settings. */
import type { Schema } from '../../api/client.ts';
import { amount } from '../../format/index.ts';
import { Card, Checkbox, ComboBox, Facts, Select, TextField } from '../../ui/index.ts';
import { FORMAT_IDS, FORMATS, type FormatId } from './formats.ts';

export interface Options {
  readonly system: string;
  /** As typed; empty leaves it to the provider. */
  readonly maxTokens: string;
  readonly temperature: string;
  readonly stream: boolean;
}

export function OptionsCard(props: {
  readonly models: readonly Schema<'Model'>[];
  readonly model: string;
  readonly known: Schema<'Model'> | undefined;
  readonly format: FormatId | 'fitting';
  readonly fitting: FormatId;
  readonly options: Options;
  readonly onModel: (id: string | null) => void;
  readonly onFormat: (id: FormatId | 'fitting') => void;
  readonly onOptions: (options: Options) => void;
}) {
  const { models, model, known, format, fitting, options, onModel, onFormat, onOptions } = props;
  const { canStream } = FORMATS[format === 'fitting' ? fitting : format];
  return (
    <Card title="Model">
      <div className="playground-options">
        <ComboBox
          key={models.length}
          label="Model"
          options={models.map(({ id, provider, test }) => ({
            id,
            label: id,
            hint: test ? 'Postern’s own test model' : provider,
          }))}
          value={model === '' ? null : model}
          onChange={onModel}
          allowsOther
          placeholder="provider/model"
        />
        <Select
          label="Format"
          options={[
            { id: 'fitting', label: `Fitting: ${FORMATS[fitting].label}` },
            ...FORMAT_IDS.map((id) => ({
              id,
              label: FORMATS[id].label,
              ...(known !== undefined && !known.formats.includes(id)
                ? { hint: 'The provider does not speak it' }
                : {}),
            })),
          ]}
          value={format}
          onChange={onFormat}
        />
        {known !== undefined && <About model={known} />}
        <TextField
          label="System prompt"
          value={options.system}
          onChange={(system) => onOptions({ ...options, system })}
          rows={3}
          maxLength={100_000}
        />
        <div className="playground-numbers">
          <TextField
            label="Output limit"
            type="number"
            value={options.maxTokens}
            onChange={(maxTokens) => onOptions({ ...options, maxTokens })}
            placeholder="tokens"
            error={faultOf(options.maxTokens, { least: 1, most: 10_000_000, isWhole: true })}
          />
          <TextField
            label="Temperature"
            type="number"
            value={options.temperature}
            onChange={(temperature) => onOptions({ ...options, temperature })}
            placeholder="as it is"
            error={faultOf(options.temperature, { least: 0, most: 2, isWhole: false })}
          />
        </div>
        <Checkbox
          label={canStream ? 'Show the answer as it comes' : 'Whole answers only in this format'}
          checked={options.stream && canStream}
          isDisabled={!canStream}
          onChange={(stream) => onOptions({ ...options, stream })}
        />
      </div>
    </Card>
  );
}

function About({ model }: { readonly model: Schema<'Model'> }) {
  const { provider, context_window: context, max_output: output, capture } = model;
  return (
    <Facts
      facts={[
        ['Provider', provider],
        ...(context === null ? [] : ([['Context', `${amount(context)} tokens`]] as const)),
        ...(output === null ? [] : ([['Output', `${amount(output)} tokens at most`]] as const)),
        ...(capture === null ? [] : ([['Kept', KEPT[capture] ?? capture]] as const)),
      ]}
    />
  );
}

const KEPT: Readonly<Record<string, string>> = {
  full: 'prompt and answer, encrypted',
  metadata: 'no words, only figures',
  none: 'nothing but what it cost',
};

function faultOf(
  text: string,
  { least, most, isWhole }: { readonly least: number; readonly most: number; readonly isWhole: boolean },
): string | null {
  if (text.trim() === '') return null;
  const value = Number(text);
  const fits = value >= least && value <= most && (!isWhole || Number.isInteger(value));
  return fits ? null : `From ${least} to ${most.toLocaleString('en-US')}.`;
}

/** Fields that people type into or choose from, each with a visible label. */
import { Check, ChevronDown } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button } from 'react-aria-components/Button';
import { Checkbox as AriaCheckbox } from 'react-aria-components/Checkbox';
import {
  ComboBox as AriaComboBox,
  FieldError,
  Input,
  Label,
  Popover,
  Text,
} from 'react-aria-components/ComboBox';
import { ListBox, ListBoxItem } from 'react-aria-components/ListBox';
import { Select as AriaSelect, SelectValue } from 'react-aria-components/Select';
import { TextArea, TextField as AriaTextField } from 'react-aria-components/TextField';

interface FieldProps {
  readonly label: string;
  /** Label for screen readers only, where what stands around says it. */
  readonly hideLabel?: boolean;
  readonly hint?: ReactNode;
  /** What is wrong with the value; null or absent if nothing. */
  readonly error?: string | null;
  readonly isDisabled?: boolean;
}

export interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly onEnter?: () => void;
  readonly placeholder?: string;
  readonly type?: 'text' | 'search' | 'password' | 'url' | 'number';
  /** More than one line of text. */
  readonly rows?: number;
  /** For code and identifiers. */
  readonly mono?: boolean;
  readonly isRequired?: boolean;
  readonly isReadOnly?: boolean;
  readonly maxLength?: number;
  readonly autoFocus?: boolean;
  readonly id?: string;
  /** Small, for bars of filters. */
  readonly small?: boolean;
}

/** A field for text. Browsers neither remember nor correct what is typed. */
export function TextField(props: TextFieldProps) {
  const { label, hideLabel = false, hint, error, value, onChange, onEnter, rows, type = 'text' } = props;
  const shared = {
    className: `input${props.mono === true ? ' mono' : ''}`,
    placeholder: props.placeholder,
    autoComplete: 'off',
    spellCheck: false,
  };
  return (
    <AriaTextField
      className={`field${props.small === true ? ' small' : ''}`}
      value={value}
      onChange={onChange}
      isInvalid={error !== undefined && error !== null}
      isDisabled={props.isDisabled === true}
      isReadOnly={props.isReadOnly === true}
      isRequired={props.isRequired === true}
      maxLength={props.maxLength ?? 10_000}
      // oxlint-disable-next-line jsx-a11y/no-autofocus -- only in dialogs, whose first field it is
      autoFocus={props.autoFocus === true}
      type={type}
      {...(props.id === undefined ? {} : { id: props.id })}
    >
      <Label className={hideLabel ? 'visually-hidden' : 'label'}>{label}</Label>
      {rows === undefined ? (
        <Input
          {...shared}
          onKeyDown={(event) => {
            if (event.key === 'Enter') onEnter?.();
          }}
        />
      ) : (
        <TextArea {...shared} rows={rows} />
      )}
      <Hints hint={hint} error={error} />
    </AriaTextField>
  );
}

export interface Choice<Id extends string = string> {
  readonly id: Id;
  readonly label: string;
  /** A second line. */
  readonly hint?: string;
}

export interface SelectProps<Id extends string> extends FieldProps {
  readonly options: readonly Choice<Id>[];
  readonly value: Id | null;
  readonly onChange: (value: Id) => void;
  readonly placeholder?: string;
  /** Small, for bars of filters. */
  readonly small?: boolean;
}

/** One of a few. */
export function Select<Id extends string>(props: SelectProps<Id>) {
  const { label, hideLabel = false, hint, error, options, value, onChange } = props;
  return (
    <AriaSelect
      className={`field${props.small === true ? ' small' : ''}`}
      value={value}
      onChange={(key) => {
        const option = options.find(({ id }) => id === key);
        if (option !== undefined) onChange(option.id);
      }}
      isDisabled={props.isDisabled === true}
      isInvalid={error !== undefined && error !== null}
      placeholder={props.placeholder ?? 'Choose'}
    >
      <Label className={hideLabel ? 'visually-hidden' : 'label'}>{label}</Label>
      <Button className="input select">
        <SelectValue className="select-value" />
        <ChevronDown aria-hidden size={16} />
      </Button>
      <Hints hint={hint} error={error} />
      <Popover className="popover">
        <ListBox className="list-box" items={options}>
          {(option) => <Option option={option} />}
        </ListBox>
      </Popover>
    </AriaSelect>
  );
}

export interface ComboBoxProps extends FieldProps {
  /** Suggestions; what is typed may be something else if `allowsOther`. */
  readonly options: readonly Choice[];
  readonly value: string | null;
  /** Null when the field is emptied. */
  readonly onChange: (value: string | null) => void;
  readonly allowsOther?: boolean;
  readonly placeholder?: string;
  readonly small?: boolean;
}

/** One of many, found by typing. */
export function ComboBox(props: ComboBoxProps) {
  const { label, hideLabel = false, hint, error, options, value, onChange, allowsOther = false } = props;
  const shown = options.find(({ id }) => id === value)?.label ?? value ?? '';
  const [typed, setTyped] = useState<string | null>(null);
  const settle = (text: string): void => {
    const known = options.find((option) => option.label === text || option.id === text);
    setTyped(null);
    if (text === '') onChange(null);
    else if (known !== undefined) onChange(known.id);
    else if (allowsOther) onChange(text);
  };
  return (
    <AriaComboBox
      className={`field${props.small === true ? ' small' : ''}`}
      inputValue={typed ?? shown}
      onInputChange={setTyped}
      value={value}
      onChange={(key) => {
        setTyped(null);
        if (key !== null) onChange(String(key));
      }}
      onBlur={() => {
        if (typed !== null) settle(typed);
      }}
      allowsCustomValue={allowsOther}
      allowsEmptyCollection
      menuTrigger="focus"
      isDisabled={props.isDisabled === true}
      isInvalid={error !== undefined && error !== null}
      defaultItems={options}
    >
      <Label className={hideLabel ? 'visually-hidden' : 'label'}>{label}</Label>
      <div className="combo">
        <Input
          className="input"
          placeholder={props.placeholder}
          spellCheck={false}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && typed !== null && allowsOther) settle(typed);
          }}
        />
        <Button className="combo-button">
          <ChevronDown aria-hidden size={16} />
        </Button>
      </div>
      <Hints hint={hint} error={error} />
      <Popover className="popover">
        <ListBox<Choice> className="list-box" renderEmptyState={() => <p className="soft">Nothing fits.</p>}>
          {(option) => <Option option={option} />}
        </ListBox>
      </Popover>
    </AriaComboBox>
  );
}

/** Yes or no. */
export function Checkbox({
  label,
  checked,
  onChange,
  isDisabled = false,
}: {
  readonly label: ReactNode;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly isDisabled?: boolean;
}) {
  return (
    <AriaCheckbox className="checkbox" isSelected={checked} onChange={onChange} isDisabled={isDisabled}>
      <span className="box" aria-hidden>
        <Check size={14} />
      </span>
      {label}
    </AriaCheckbox>
  );
}

function Option({ option }: { readonly option: Choice }) {
  return (
    <ListBoxItem id={option.id} textValue={option.label} className="option">
      <Text slot="label">{option.label}</Text>
      {option.hint !== undefined && (
        <Text slot="description" className="soft">
          {option.hint}
        </Text>
      )}
    </ListBoxItem>
  );
}

function Hints({ hint, error }: { readonly hint?: ReactNode; readonly error?: string | null | undefined }) {
  return (
    <>
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-error">{error}</FieldError>
    </>
  );
}

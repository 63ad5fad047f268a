import { Field, Input, NativeSelect, Switch, Textarea } from "@chakra-ui/react";

import type { FieldSchema } from "../types";

/** A field's text as it was typed; what it means is decided when the form is sent. */
export type Draft = string | boolean;

const typesOf = (schema: FieldSchema): string[] => [schema.type ?? "string"].flat();
const isJson = (schema: FieldSchema): boolean => typesOf(schema).some((type) => type === "array" || type === "object");

export function draftOf(schema: FieldSchema): Draft {
  const value = schema.default;
  if (typesOf(schema).includes("boolean")) return value === true;
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The value for the request; undefined leaves the field to its default. */
export function valueOf(schema: FieldSchema, draft: Draft): unknown {
  if (typeof draft === "boolean") return draft;
  const text = draft.trim();
  if (text === "") return undefined;
  if (isJson(schema)) return JSON.parse(text) as unknown;
  return typesOf(schema).some((type) => type === "integer" || type === "number") ? Number(text) : text;
}

/** JSON schema's patterns match anywhere; those of Python may have what a browser lacks, and Airflow checks again. */
function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

/** Why a draft cannot be sent, or null. */
export function faultOf(schema: FieldSchema, draft: Draft, required: boolean): string | null {
  if (typeof draft === "boolean") return null;
  const text = draft.trim();
  if (text === "") return required ? "This is needed." : null;
  if (isJson(schema)) {
    try {
      JSON.parse(text);
      return null;
    } catch {
      return "This is not JSON.";
    }
  }
  if (schema.maxLength !== undefined && text.length > schema.maxLength)
    return `At most ${schema.maxLength} characters.`;
  if (schema.pattern && !matches(schema.pattern, text)) return "This form is not allowed.";
  const number = Number(text);
  if (typesOf(schema).includes("integer") && !Number.isInteger(number)) return "A whole number, please.";
  if (schema.minimum !== undefined && number < schema.minimum) return `At least ${schema.minimum}.`;
  if (schema.maximum !== undefined && number > schema.maximum) return `At most ${schema.maximum}.`;
  return null;
}

interface Props {
  name: string;
  schema: FieldSchema;
  draft: Draft;
  onChange: (draft: Draft) => void;
  fault: string | null;
  required?: boolean;
}

export function FormField({ name, schema, draft, onChange, fault, required = false }: Props) {
  const title = schema.title ?? name;
  if (typeof draft === "boolean") {
    return (
      <Field.Root>
        <Switch.Root
          checked={draft}
          colorPalette="brand"
          name={name}
          onCheckedChange={({ checked }) => onChange(checked)}
        >
          <Switch.HiddenInput />
          <Switch.Control>
            <Switch.Thumb />
          </Switch.Control>
          <Switch.Label>{title}</Switch.Label>
        </Switch.Root>
        <Field.HelperText>{schema.description}</Field.HelperText>
      </Field.Root>
    );
  }
  const field = {
    name,
    value: draft,
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  };
  let input = (
    <Input
      {...field}
      autoComplete="off"
      inputMode={typesOf(schema).includes("integer") ? "numeric" : undefined}
      spellCheck={false}
    />
  );
  if (schema.enum) {
    input = (
      <NativeSelect.Root>
        <NativeSelect.Field {...field}>
          {schema.enum.map((option) => (
            <option key={String(option)} value={String(option)}>
              {String(option)}
            </option>
          ))}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
    );
  } else if (isJson(schema)) {
    input = <Textarea {...field} autoresize fontFamily="mono" fontSize="sm" rows={2} spellCheck={false} />;
  }
  return (
    <Field.Root invalid={fault !== null} required={required}>
      <Field.Label>
        {title}
        <Field.RequiredIndicator />
      </Field.Label>
      {input}
      {fault ? <Field.ErrorText>{fault}</Field.ErrorText> : null}
      <Field.HelperText>{schema.description}</Field.HelperText>
    </Field.Root>
  );
}

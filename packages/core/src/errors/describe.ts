const MAX_LENGTH = 80;

/** Quotes a value for an error message: short, on one line, never throwing, whatever the value is. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return clip(JSON.stringify(value));
    case "bigint":
      return `${value}n`;
    case "function":
      return describeFunction(value);
    case "object":
      return value === null ? "null" : describeObject(value);
    default:
      return String(value);
  }
}

function describeFunction(value: object): string {
  const name = safely(() => nameOf(value));
  return name ? clip(`function ${name}`) : "an anonymous function";
}

function describeObject(value: object): string {
  const name = safely(() => nameOf(value.constructor));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (name === "" || name === "Object") return "a plain object";
  return clip(`an instance of ${name}`);
}

function nameOf(value: unknown): string {
  const { name } = value as { name?: unknown };
  return typeof name === "string" ? name : "";
}

function clip(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}

function safely(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}

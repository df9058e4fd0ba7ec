import { extname } from "node:path";
import { encodeRecording, toChromeTrace, toPrometheus, type Recording } from "../recorder/index.js";

/** What a recording can be written as. */
export type FileFormat = "bough" | "chrome" | "prometheus";

const formats: Readonly<Record<FileFormat, (recording: Recording) => string | Uint8Array>> = {
  bough: encodeRecording,
  chrome: (recording) => JSON.stringify(toChromeTrace(recording)),
  prometheus: toPrometheus,
};

/** The content of a file in this format. */
export function contentOf(recording: Recording, format: FileFormat): string | Uint8Array {
  return formats[format](recording);
}

/**
 * The format to write a file in.
 *
 * @param asked - The value of `--format`; without it, the end of the file's name decides.
 * @throws {Error} If there is no such format.
 */
export function formatOf(file: string, asked: string | undefined): FileFormat {
  if (asked !== undefined) {
    if (Object.hasOwn(formats, asked)) return asked as FileFormat;
    throw new Error(`--format must be ${Object.keys(formats).join(", ")}, not ${JSON.stringify(asked)}.`);
  }
  const end = extname(file);
  if (end === ".json") return "chrome";
  return end === ".prom" ? "prometheus" : "bough";
}

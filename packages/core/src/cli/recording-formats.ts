import { extname } from "node:path";
import { encodeRecording, toChromeTrace, toPrometheus, type Recording } from "../recorder/index.js";

/** The formats of a recording. */
export type FileFormat = "bough" | "chrome" | "prometheus";

const formats: Readonly<Record<FileFormat, (recording: Recording) => string | Uint8Array>> = {
  bough: encodeRecording,
  chrome: (recording) => JSON.stringify(toChromeTrace(recording)),
  prometheus: toPrometheus,
};

/** Encodes a recording in this format. */
export function contentOf(recording: Recording, format: FileFormat): string | Uint8Array {
  return formats[format](recording);
}

/**
 * Chooses the format of a file.
 *
 * @param asked - The value of `--format`. Without it, the extension of the file decides.
 * @throws {Error} If the format does not exist.
 */
export function formatOf(file: string, asked: string | undefined): FileFormat {
  if (asked !== undefined) {
    if (Object.hasOwn(formats, asked)) return asked as FileFormat;
    throw new Error(
      `--format must be one of ${Object.keys(formats).join(", ")}, not ${JSON.stringify(asked)}.`,
    );
  }
  const end = extname(file);
  if (end === ".json") return "chrome";
  return end === ".prom" ? "prometheus" : "bough";
}

import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { BoughError } from "../index.js";
import { decodeRecording } from "../recorder/index.js";
import { contentOf, formatOf, type FileFormat } from "./recording-formats.js";

export const convertUsage = `bough convert <recording> <file>   write a recording as another format, by the end of the file's name:
                                   .json for Perfetto and Chrome, .prom for Prometheus
--format=chrome                    or prometheus, or bough: the format, whatever the name is
`;

/** Runs `bough convert`. Returns the exit code. */
export async function convert(parameters: readonly string[]): Promise<number> {
  let given: { readonly from: string; readonly to: string; readonly format: FileFormat };
  try {
    given = parse(parameters);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${convertUsage}`);
    return 2;
  }
  const { from, to, format } = given;
  try {
    await writeFile(to, contentOf(decodeRecording(await readFile(from)), format));
    return 0;
  } catch (error) {
    const isExpected = error instanceof BoughError || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!isExpected) throw error;
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  }
}

function parse(parameters: readonly string[]): { from: string; to: string; format: FileFormat } {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    options: { format: { type: "string" } },
    allowPositionals: true,
  });
  const [from, to, ...others] = positionals;
  if (from === undefined || to === undefined || others.length > 0)
    throw new Error("bough convert takes a recording and the file to write.");
  return { from, to, format: formatOf(to, values.format) };
}

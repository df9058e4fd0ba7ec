import { open, writeFile } from "node:fs/promises";
import { moveOnAfter, sleep, type Scope } from "../index.js";
import { assemble } from "../recorder/file-format.js";
import { decodeRecording } from "../recorder/index.js";
import { DEFAULT_BYTES } from "../recorder/recorder.js";
import { formatCount } from "./format-count.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import type { DebuggingSession } from "./debugging-session.js";
import { rethrowUnlessEnded } from "./process-ended.js";
import { CannotInspect } from "./processes.js";
import { contentOf, formatOf, type FileFormat } from "./recording-formats.js";
import { checkCopies, RemoteAgent, type CopyCounts } from "./remote-agent.js";

export interface RecordOptions {
  readonly file: string;
  readonly format: FileFormat;
  /** The duration of the recording, in seconds; `undefined`: until Ctrl-C. */
  readonly seconds: number | undefined;
}

/** The duration of a recording without a terminal, in seconds: nobody would press Ctrl-C. */
const DEFAULT_SECONDS = 10;

/**
 * The options of a recording, from the command line.
 *
 * @throws {Error} If a value is invalid.
 */
export function recordOptions(
  file: string,
  { seconds, format }: { readonly seconds?: string | undefined; readonly format?: string | undefined },
): RecordOptions {
  if (file === "") throw new Error('--record takes the file to write, such as --record trace.json, not "".');
  const given = seconds === undefined ? undefined : Number(seconds);
  if (given !== undefined && !(given > 0 && given < Infinity))
    throw new Error(`--seconds must be a number above 0, not ${JSON.stringify(seconds)}.`);
  const byDefault = process.stdin.isTTY ? undefined : DEFAULT_SECONDS;
  return { file, format: formatOf(file, format), seconds: given ?? byDefault };
}

/**
 * How often to confirm that the recording is still wanted, in ms. The process ends a recording that is not confirmed.
 */
const KEEP_INTERVAL = 1_000;
/** How long one call may block the process, in ms. */
const SLICE = 2;
/** How many bytes of records to fetch at a time. The base64 and JSON of more would block the process. */
const PART_BYTES = 192 * 1024;

/**
 * Records the activity of the process that `session` is attached to, and writes the recording to a file.
 *
 * @param interrupted - Ends the recording when it resolves.
 * @throws {CannotInspect} If the process has not loaded bough or ends during the recording, or the file can't be
 * written.
 */
export async function record(
  scope: Scope,
  session: DebuggingSession,
  pid: number,
  { file, format, seconds }: RecordOptions,
  interrupted: Promise<true>,
): Promise<void> {
  await checkFile(file);
  const agent = new RemoteAgent(session, () => agentExpression("recorder-agent.js"));
  checkCopies(pid, JSON.parse(await agent.call("start", DEFAULT_BYTES)) as CopyCounts);
  process.stdout.write(
    `Recording process ${pid} ${seconds === undefined ? "until Ctrl-C" : `for ${seconds} s`}\n`,
  );
  try {
    await keepRecording(scope, agent, seconds, interrupted);
    const recording = decodeRecording(await fetchRecording(scope, agent));
    await writeFile(file, contentOf(recording, format));
    const { dropped } = recording;
    const older = dropped.events === 0 ? "" : `; ${formatCount(dropped.events)} older ones did not fit`;
    process.stdout.write(`${file}: ${formatCount([...recording.events].length)} events${older}\n`);
  } catch (error) {
    await rethrowUnlessEnded(scope, pid, error);
    throw new CannotInspect(`Process ${pid} has ended, and its recording is lost. No file was written.`);
  }
}

/** Refuses a file that can't be written before anything is recorded. Leaves its content as it is. */
async function checkFile(file: string): Promise<void> {
  try {
    await (await open(file, "a")).close();
  } catch (error) {
    throw new CannotInspect(
      `The recording can't be written: ${(error as Error).message}. Give another file.`,
    );
  }
}

/** Confirms the recording periodically until it is to end. */
async function keepRecording(
  scope: Scope,
  agent: RemoteAgent,
  seconds: number | undefined,
  interrupted: Promise<true>,
): Promise<void> {
  await moveOnAfter(scope, { timeout: (seconds ?? Infinity) * 1_000 }, async (own) => {
    while ((await answerWithin(own, KEEP_INTERVAL, interrupted)) !== true) await agent.call("keep");
  });
}

/** Ends the recording and fetches it in parts. */
async function fetchRecording(scope: Scope, agent: RemoteAgent): Promise<Uint8Array> {
  while ((await agent.call("walk", SLICE)) !== "end") await sleep(scope, 0);
  const header = await agent.call("stop");
  const parts: Buffer[] = [];
  for (let offset = 0; ; offset += PART_BYTES) {
    const part = Buffer.from(await agent.call("read", offset, PART_BYTES), "base64");
    if (part.length === 0) return assemble(header, Buffer.concat(parts));
    parts.push(part);
    await sleep(scope, 0); // so that the process can run
  }
}

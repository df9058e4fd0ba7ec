import { open, writeFile } from "node:fs/promises";
import { moveOnAfter, sleep, type Scope } from "../index.js";
import { assemble } from "../recorder/file.js";
import { decodeRecording } from "../recorder/index.js";
import { DEFAULT_BYTES } from "../recorder/recorder.js";
import { agentExpression } from "./agent-source.js";
import { answerWithin } from "./answer-within.js";
import type { DebuggingSession } from "./debugging-session.js";
import { rethrowUnlessEnded } from "./ended.js";
import { CannotInspect } from "./processes.js";
import { contentOf, formatOf, type FileFormat } from "./recording-formats.js";
import { checkCopies, RemoteAgent, type Copies } from "./remote-agent.js";

export interface RecordOptions {
  readonly file: string;
  readonly format: FileFormat;
  /** When the recording ends, in seconds; `undefined`: at Ctrl-C. */
  readonly seconds: number | undefined;
}

/** How long to record where no Ctrl-C is to be expected, in seconds. */
const WITHOUT_TERMINAL = 10;

/**
 * What the command line says.
 *
 * @throws {Error} If a value can't be used.
 */
export function recordOptions(
  file: string,
  { seconds, format }: { readonly seconds?: string | undefined; readonly format?: string | undefined },
): RecordOptions {
  if (file === "") throw new Error('--record takes the file to write, such as --record trace.json, not "".');
  const given = seconds === undefined ? undefined : Number(seconds);
  if (given !== undefined && !(given > 0 && given < Infinity))
    throw new Error(`--seconds must be a number above 0, not ${JSON.stringify(seconds)}.`);
  const byDefault = process.stdin.isTTY ? undefined : WITHOUT_TERMINAL;
  return { file, format: formatOf(file, format), seconds: given ?? byDefault };
}

/** How often the process is told that the recording is still wanted, in ms. */
const STEP = 1_000;
/** How long the process is held up at a time, in ms. */
const SLICE = 2;
/** How many bytes of records are asked for at a time: base64 and JSON of more would hold the process up. */
const PART = 192 * 1024;

/**
 * Records what happens in the process that `session` is attached to, and writes it to a file.
 *
 * @param interrupted - Ends the recording when it resolves.
 * @throws {CannotInspect} If the process has no bough or ends meanwhile, or the file can't be written.
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
  checkCopies(pid, JSON.parse(await agent.call("start", DEFAULT_BYTES)) as Copies);
  process.stdout.write(
    `Recording process ${pid} ${seconds === undefined ? "until Ctrl-C" : `for ${seconds} s`}\n`,
  );
  try {
    await keep(scope, agent, seconds, interrupted);
    const recording = decodeRecording(await take(scope, agent));
    await writeFile(file, contentOf(recording, format));
    const { dropped } = recording;
    const older = dropped.events === 0 ? "" : `; ${count(dropped.events)} older ones did not fit`;
    process.stdout.write(`${file}: ${count([...recording.events].length)} events${older}\n`);
  } catch (error) {
    await rethrowUnlessEnded(scope, pid, error);
    throw new CannotInspect(`Process ${pid} has ended, and what it recorded with it. Nothing was written.`);
  }
}

const count = (number: number): string => number.toLocaleString("en");

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

/** Tells the process that the recording is still wanted, until its end. */
async function keep(
  scope: Scope,
  agent: RemoteAgent,
  seconds: number | undefined,
  interrupted: Promise<true>,
): Promise<void> {
  await moveOnAfter(scope, { timeout: (seconds ?? Infinity) * 1_000 }, async (own) => {
    while ((await answerWithin(own, STEP, interrupted)) !== true) await agent.call("keep");
  });
}

/** Ends the recording and fetches its file in parts. */
async function take(scope: Scope, agent: RemoteAgent): Promise<Uint8Array> {
  while ((await agent.call("walk", SLICE)) !== "end") await sleep(scope, 0);
  const header = await agent.call("stop");
  const parts: Buffer[] = [];
  for (let offset = 0; ; offset += PART) {
    const part = Buffer.from(await agent.call("read", offset, PART), "base64");
    if (part.length === 0) return assemble(header, Buffer.concat(parts));
    parts.push(part);
    await sleep(scope, 0); // so that the process has its turn
  }
}

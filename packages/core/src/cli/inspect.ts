import { parseArgs } from "node:util";
import { sleep, withScope, type Scope } from "../index.js";
import { createWatcher, type TreeSource } from "../inspect/index.js";
import { servePage } from "../inspector/index.js";
import { attach, closeLateInspector } from "./attach.js";
import { AttachedTree } from "./attached-tree.js";
import { printLook } from "./print-look.js";
import { isRunning } from "./processes.js";
import { Interrupt } from "./interrupt.js";
import { record, recordOptions } from "./record.js";
import { rethrowUnlessEnded } from "./process-ended.js";
import { watch } from "./watch/watch.js";

export const usage = `bough inspect <pid>            print the tree of scopes of a running Node process
bough inspect <pid> --watch    show it in the terminal, live: h shows the keys, q quits
bough inspect <pid> --open     serve it as a page on this machine, live, until Ctrl-C
bough inspect <pid> --json     print it as JSON, one scope per line
bough inspect <pid> --record <file>   record what happens, until Ctrl-C, for bough convert
bough inspect <pid> --all      print every scope, instead of groups of similar ones

--seconds=10                   with --record: for how long; without a terminal, 10 if it is not given
--format=chrome                with --record: or prometheus, or bough; otherwise the file's name decides:
                               .json for Perfetto and Chrome, .prom for Prometheus
--interval=2                   with --watch: seconds from one look to the next; 1 if it is not given

The process need not be prepared. It writes "Debugger listening on …" to its standard error
when its inspector is started, and is left as it was found.
`;

const options = {
  all: { type: "boolean" },
  json: { type: "boolean" },
  open: { type: "boolean" },
  watch: { type: "boolean" },
  interval: { type: "string" },
  record: { type: "string" },
  seconds: { type: "string" },
  format: { type: "string" },
  // Internal: used by the background process that `attach` starts.
  "close-late": { type: "string" },
} as const;

/** The time between the two looks that a warning must hold in, in ms. */
const WARNING_INTERVAL = 250;

/** The range of `--interval`, in ms. */
const MIN_INTERVAL = 100;
const MAX_INTERVAL = 3_600_000;

/** Runs `bough inspect`. Returns the exit code. */
export async function inspect(scope: Scope, parameters: readonly string[]): Promise<number> {
  let given: ReturnType<typeof parse>;
  try {
    given = parse(parameters);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  const { values, pid, interval, recording } = given;
  const late = values["close-late"];
  if (late !== undefined) {
    await closeLateInspector(scope, pid, new Set(late.split(",").map(Number)));
    return 0;
  }
  const interrupt = recording === undefined ? undefined : new Interrupt(scope);
  await withScope(scope, { name: `process ${pid}` }, async (own) => {
    const session = await attach(own, pid);
    if (recording !== undefined && interrupt !== undefined)
      return record(own, session, pid, recording, interrupt.arm());
    const open = (scope: Scope): AttachedTree => new AttachedTree(scope, session, pid);
    if (values.watch === true) return watchOrPrint(own, open, pid, interval, values.all === true);
    const tree = open(own);
    if (values.open === true) return serve(own, tree, pid);
    const first = await tree.look();
    if (values.json === true) {
      for (const node of first.nodes) process.stdout.write(`${JSON.stringify(node)}\n`);
      return;
    }
    const watcher = createWatcher();
    watcher.add(first);
    await sleep(own, WARNING_INTERVAL); // a warning must hold in both looks
    const look = await tree.look();
    process.stdout.write(`${printLook(look, pid, values.all === true, watcher.add(look))}\n`);
  });
  return 0;
}

/** How often to check whether the process has ended, in ms. */
const POLL_INTERVAL = 1_000;

/** Serves the tree as a page until the scope is cancelled or the process ends. */
async function serve(scope: Scope, tree: TreeSource, pid: number): Promise<void> {
  await tree.look(); // if that fails, fail here and not in the page
  const page = servePage(tree, { title: `process ${pid}` });
  scope.defer(() => page.close());
  process.stdout.write(`${await page.listen({ port: 0 })}\n`);
  while (isRunning(pid)) await sleep(scope, POLL_INTERVAL);
  process.stdout.write(`Process ${pid} has ended.\n`);
}

/** Shows the terminal view. Without a terminal, prints the tree repeatedly. */
async function watchOrPrint(
  scope: Scope,
  open: (scope: Scope) => AttachedTree,
  pid: number,
  interval: number,
  all: boolean,
): Promise<void> {
  const { stdin, stdout } = process;
  if (!stdout.isTTY || process.env["TERM"] === "dumb")
    return printRepeatedly(scope, open(scope), pid, interval, all);
  const coloured = stdout.hasColors();
  const last = await watch(scope, open, { pid, interval, keyboard: stdin, display: stdout, coloured });
  if (last !== undefined) stdout.write(`${last.join("\n")}\n\nProcess ${pid} has ended.\n`);
}

async function printRepeatedly(
  scope: Scope,
  tree: TreeSource,
  pid: number,
  interval: number,
  all: boolean,
): Promise<void> {
  const watcher = createWatcher();
  try {
    for (;;) {
      const look = await tree.look();
      process.stdout.write(`${printLook(look, pid, all, watcher.add(look))}\n\n`);
      await sleep(scope, interval);
    }
  } catch (error) {
    await rethrowUnlessEnded(scope, pid, error);
    process.stdout.write(`Process ${pid} has ended.\n`);
  }
}

function parse(parameters: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...parameters], options, allowPositionals: true });
  const [text, ...others] = positionals;
  const pid = Number(text);
  if (text === undefined || others.length > 0) throw new Error("bough inspect takes one process id.");
  if (!Number.isInteger(pid) || pid <= 0)
    throw new Error(`The process id must be a whole number above 0, not ${JSON.stringify(text)}.`);
  const interval = Number(values.interval ?? 1) * 1_000;
  if (!(interval >= MIN_INTERVAL && interval <= MAX_INTERVAL))
    throw new Error(
      `--interval must be a number of seconds from ${MIN_INTERVAL / 1_000} to ${MAX_INTERVAL / 1_000}, not ${JSON.stringify(values.interval)}.`,
    );
  const recording = values.record === undefined ? undefined : recordOptions(values.record, values);
  return { values, pid, interval, recording };
}

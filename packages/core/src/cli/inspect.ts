import { parseArgs } from "node:util";
import { sleep, withScope, type Scope } from "../index.js";
import { createWatcher } from "../inspect/index.js";
import { attach } from "./attach.js";
import { AttachedTree } from "./attached-tree.js";
import { printLook } from "./print.js";

export const usage = `bough inspect <pid>            print the tree of scopes of a running Node process
bough inspect <pid> --json     print it as JSON, one scope per line
bough inspect <pid> --all      print every scope, instead of groups of similar ones

The process need not be prepared. It writes "Debugger listening on …" to its standard error
when its inspector is started, and is left as it was found.
`;

const options = {
  all: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** Between the two looks of which the second is printed, in ms. */
const BETWEEN = 250;

/** Runs `bough inspect`. Returns the exit code. */
export async function inspect(scope: Scope, parameters: readonly string[]): Promise<number> {
  let given: ReturnType<typeof parse>;
  try {
    given = parse(parameters);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  const { values, pid } = given;
  await withScope(scope, { name: `process ${pid}` }, async (own) => {
    const tree = new AttachedTree(own, await attach(own, pid), pid);
    const watcher = createWatcher();
    watcher.add(await tree.look());
    await sleep(own, BETWEEN); // what is over by then is not worth a warning
    const look = await tree.look();
    if (values.json === true)
      for (const node of look.nodes) process.stdout.write(`${JSON.stringify(node)}\n`);
    else process.stdout.write(`${printLook(look, pid, values.all === true, watcher.add(look))}\n`);
  });
  return 0;
}

function parse(parameters: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...parameters], options, allowPositionals: true });
  const [text, ...others] = positionals;
  const pid = Number(text);
  if (text === undefined || others.length > 0) throw new Error("bough inspect takes one process id.");
  if (!Number.isInteger(pid) || pid <= 0)
    throw new Error(`The process id must be a whole number above 0, not ${JSON.stringify(text)}.`);
  return { values, pid };
}

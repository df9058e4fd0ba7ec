import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sleep, withScope, type Scope } from "../../../src/index.js";
import { countUnfinished, startEngine, type EngineChoice } from "./engines.js";
import { judge, type Verdict } from "./judge.js";
import { machineNow, type Line } from "./plan.js";

export interface ChaosOptions {
  readonly engine: EngineChoice["name"];
  readonly jobs: number;
  readonly owners: number;
  readonly workers: number;
  /** Milliseconds between two faults. */
  readonly every: number;
  /** Whether processes are stopped (SIGSTOP), too, and not only killed. */
  readonly stops: boolean;
  readonly lease: number;
  /** Whether the clocks of the processes are a minute ahead, or behind. */
  readonly skew?: boolean;
}

/** Sets the calendar of a process forward, in ms, before it imports anything. */
const shifted = (ms: number): string =>
  `data:text/javascript,${encodeURIComponent(
    `const D = Date, n = () => D.now() + ${ms};
     globalThis.Date = class extends D {
       constructor(...a) { super(...(a.length ? a : [n()])); }
       static now() { return n(); }
     };`,
  )}`;

const script = fileURLToPath(new URL("process.ts", import.meta.url));

/** Runs jobs while processes are killed and stopped, and judges that by the logs of all of them. */
export function runChaos(options: ChaosOptions): Promise<Verdict> {
  return withScope({ name: "chaos" }, async (scope) => {
    const folder = await mkdtemp(join(tmpdir(), "bough-chaos-"));
    scope.defer(() => rm(folder, { recursive: true, force: true }));
    const engine = await startEngine(scope, options.engine);
    return new Chaos(scope, folder, engine, options).play();
  });
}

class Chaos {
  readonly #scope: Scope;
  readonly #folder: string;
  readonly #engine: EngineChoice;
  readonly #options: ChaosOptions;
  readonly #living = new Map<string, ChildProcess>();
  readonly #lines: Line[] = [];
  /** Those that have connected: on a busy machine a start takes longer than the time between two faults. */
  readonly #ready = new Set<string>();
  #started = 0;
  /** A process that has ended by itself before its time. */
  #failure: Error | undefined;
  #next = 0;

  constructor(scope: Scope, folder: string, engine: EngineChoice, options: ChaosOptions) {
    this.#scope = scope;
    this.#folder = folder;
    this.#engine = engine;
    this.#options = options;
    scope.defer(() => this.#killAll());
  }

  async play(): Promise<Verdict> {
    const { owners, workers, jobs, every, lease } = this.#options;
    for (let count = 0; count < workers; count++) this.#start("worker");
    for (let count = 0; count < owners; count++) this.#start("owner");
    let isOwnersTurn = false;
    while (this.#next < jobs) {
      await sleep(this.#scope, every * (0.7 + Math.random() * 0.6));
      if (this.#failure !== undefined) throw this.#failure;
      isOwnersTurn = !isOwnersTurn;
      await this.#fault(isOwnersTurn ? "owner" : "worker");
    }
    // The owners that live finish what they have; the workers drop what belonged to the others.
    while ([...this.#living.keys()].some((name) => name.startsWith("owner"))) await sleep(this.#scope, 50);
    const until = machineNow() + 60_000;
    await sleep(this.#scope, lease + 500);
    while ((await countUnfinished(this.#engine)) > 0 && machineNow() < until) await sleep(this.#scope, 250);
    const left = await countUnfinished(this.#engine);
    await this.#killAll();
    return judge([...this.#lines, ...(await this.#read())], lease, left);
  }

  #start(role: "owner" | "worker"): void {
    const name = `${role}-${(this.#started += 1)}`;
    const output = join(this.#folder, `${name}.out`);
    const log = openSync(output, "a");
    const args = [
      role,
      name,
      JSON.stringify(this.#engine),
      String(this.#options.lease),
      join(this.#folder, `${name}.log`),
    ];
    const skew = this.#options.skew === true ? [60_000, -60_000, 0][this.#started % 3] : 0;
    const execArgv = [...(skew === 0 ? [] : ["--import", shifted(skew as number)]), "--import", "tsx"];
    const child = fork(script, args, { execArgv, stdio: ["ignore", log, log, "ipc"] });
    closeSync(log);
    this.#living.set(name, child);
    child.on("message", (message) => {
      this.#ready.add(name);
      if (message === "next") child.send(this.#next < this.#options.jobs ? this.#next++ : "end", () => {});
    });
    child.on("exit", (code) => {
      this.#living.delete(name);
      if (code !== null && code !== 0)
        this.#failure ??= new Error(`${name} has ended with ${code}: ${readFileSync(output, "utf8")}`);
    });
  }

  /** Kills a process and starts another, or stops it for a while. */
  async #fault(role: "owner" | "worker"): Promise<void> {
    const names = [...this.#living.keys()].filter((each) => each.startsWith(role) && this.#ready.has(each));
    const name = names[Math.floor(Math.random() * names.length)];
    const child = this.#living.get(name ?? "");
    if (name === undefined || child === undefined) return;
    if (this.#options.stops && Math.random() < 0.45) {
      this.#log("stop", name);
      child.kill("SIGSTOP");
      const limit = role === "owner" ? this.#options.lease : this.#engine.workerLease;
      await sleep(this.#scope, limit * (0.2 + Math.random() * 1.3));
      this.#log("continue", name);
      child.kill("SIGCONT");
      return;
    }
    this.#log("kill", name);
    child.kill("SIGKILL");
    this.#start(role);
  }

  #log(what: Line["what"], name: string): void {
    this.#lines.push({ at: machineNow(), process: name, what });
  }

  async #killAll(): Promise<void> {
    const children = [...this.#living.values()];
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(ended));
  }

  async #read(): Promise<Line[]> {
    const lines: Line[] = [];
    for (const file of await readdir(this.#folder)) {
      if (!file.endsWith(".log")) continue;
      const text = await readFile(join(this.#folder, file), "utf8");
      for (const line of text.split("\n")) if (line.endsWith("}")) lines.push(JSON.parse(line) as Line);
    }
    return lines;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

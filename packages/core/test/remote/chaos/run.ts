import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
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
}

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
  #started = 0;
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
    const log = openSync(join(this.#folder, `${name}.out`), "a");
    const args = [
      role,
      name,
      JSON.stringify(this.#engine),
      String(this.#options.lease),
      join(this.#folder, `${name}.log`),
    ];
    const child = fork(script, args, { execArgv: ["--import", "tsx"], stdio: ["ignore", log, log, "ipc"] });
    closeSync(log);
    this.#living.set(name, child);
    child.on("message", () => child.send(this.#next < this.#options.jobs ? this.#next++ : "end", () => {}));
    child.on("exit", () => this.#living.delete(name));
  }

  /** Kills a process and starts another, or stops it for a while. */
  async #fault(role: "owner" | "worker"): Promise<void> {
    const names = [...this.#living.keys()].filter((each) => each.startsWith(role));
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

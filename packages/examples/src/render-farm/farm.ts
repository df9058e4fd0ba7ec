import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { sleep, type Scope } from "bough";
import { machineNow, type Report, type Tile } from "./tile.js";

/** How an event came about, and when. */
export interface Event extends Report {
  readonly process: string;
}

/** A process of the farm. */
export interface Member {
  readonly name: string;
  readonly url: string;
  readonly kill: () => void;
}

/** An API and its workers, each in a separate process, and the events that they report. */
export class Farm {
  readonly events: Event[] = [];
  readonly #scope: Scope;
  readonly #database: string;
  readonly #killed = new Map<string, number>();
  #count = 0;

  constructor(scope: Scope, database: string) {
    this.#scope = scope;
    this.#database = database;
  }

  /** Starts a process; it is stopped when the scope ends. Resolves when it is ready. */
  async start(role: "api" | "worker"): Promise<Member> {
    const name = `${role} ${(this.#count += 1)}`;
    const script = fileURLToPath(new URL(`${role}.ts`, import.meta.url));
    const child = fork(script, [this.#database], { execArgv: ["--import", "tsx"], stdio: "inherit" });
    const ended = once(child, "exit");
    this.#scope.defer(() => stop(child, ended));
    const ready = new Promise<Report>((resolve, reject) => {
      child.on("message", (message: Report) => {
        this.events.push({ ...message, process: name });
        if (message.what === "ready") resolve(message);
      });
      child.on("exit", () => reject(new Error(`${name} has ended before it was ready`)));
    });
    const { url = "" } = await ready;
    return {
      name,
      url,
      kill: () => {
        this.#killed.set(name, machineNow());
        child.kill("SIGKILL");
      },
    };
  }

  /** The tiles that are being rendered, and where. What a killed process did is over. */
  get running(): readonly { readonly tile: Tile; readonly process: string }[] {
    const running = new Map<string, { tile: Tile; process: string }>();
    for (const { what, tile, process } of this.events) {
      if (tile === undefined || this.#killed.has(process)) continue;
      const key = `${process} ${tile.picture} ${tile.number}`;
      if (what === "start") running.set(key, { tile, process });
      if (what === "end") running.delete(key);
    }
    return [...running.values()];
  }

  /** The events of a picture. */
  of(picture: string, what: Report["what"]): readonly Event[] {
    return this.events.filter((event) => event.what === what && event.tile?.picture === picture);
  }

  /** Waits until something holds; `false` if it does not within so many ms. */
  async until(holds: () => boolean, ms = 30_000): Promise<boolean> {
    const end = machineNow() + ms;
    while (!holds()) {
      if (machineNow() > end) return false;
      await sleep(this.#scope, 10);
    }
    return true;
  }
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await ended;
  clearTimeout(timer);
}

import { createHook, type AsyncHook } from "node:async_hooks";
import { performance } from "node:perf_hooks";
import { now, turn } from "./clock.js";

/**
 * Work in a thread of libuv's pool, which surely ends and says so: files, look-ups of names, cryptography. Not what
 * may wait for another process for ever, such as a connection; and zlib's can't be seen.
 */
const poolWork = /^(?:FS.*REQ.*|FILEHANDLECLOSEREQ|GET(?:ADDR|NAME)INFOREQWRAP|(?!HTTP).*(?:REQUEST|JOB))$/;

/** Turns of the event loop in which nothing real may happen. One polls for I/O; what that brings may need the next. */
const TURNS = 5;

interface LoopTiming {
  readonly uvMetricsInfo?: { readonly events: number };
}

/** Sees whether something real, as opposed to a virtual timer, is under way in this process. */
export class IdleWatch {
  readonly #quiet: number;
  /** The requests of {@link poolWork} that have not come back. */
  readonly #requests = new Set<number>();
  readonly #hook: AsyncHook;
  #events = eventCount();

  /** @param quiet - Real ms without anything happening that it takes to be idle. */
  constructor(quiet: number) {
    this.#quiet = quiet;
    const done = (id: number): void => void this.#requests.delete(id);
    const init = (id: number, type: string): void => {
      if (poolWork.test(type)) this.#requests.add(id);
    };
    // Newer Nodes can leave promises out, which saves most of the cost; older ones ignore the option.
    const options = { init, before: done, destroy: done, trackPromises: false };
    this.#hook = createHook(options).enable();
  }

  stop(): void {
    this.#hook.disable();
  }

  /** Whether anything has happened since the last call, or is known to be under way. */
  isBusy(): boolean {
    const events = eventCount();
    const changed = events !== this.#events;
    this.#events = events;
    return changed || this.#requests.size > 0;
  }

  /** Resolves when microtasks and I/O have nothing left to do. */
  async idle(): Promise<void> {
    let since = now();
    for (let turns = 0; turns < TURNS || now() - since < this.#quiet; turns++) {
      await turn();
      if (!this.isBusy()) continue;
      turns = 0;
      since = now();
    }
  }
}

/** How many events the loop has handled, sockets and signals and threads alike; Node only. */
function eventCount(): number {
  return (performance.nodeTiming as LoopTiming | undefined)?.uvMetricsInfo?.events ?? 0;
}

import { cancelAs } from "../../src/adapter/index.js";
import { snapshot } from "../../src/inspect/index.js";
import { createScope, sleep, spawn, type Scope } from "../../src/index.js";

// The server's side of the mixed requests: what a handler does for `/<id>/<what>`, and what is known of each request. It runs on
// every host, in the process of the test or in one of its own, so it imports nothing of Node.

/** How far a request has come: it is at the server, or its handler runs. */
export type Point = "arrived" | "working";

/** A request: its id, the kind of its cancellation, the state of its scope, and the status that `onCancelled` was told. */
export type Row = readonly [id: string, kind: string | null, state: string, status: number | null];

const PART = "x".repeat(64 * 1024);
/** How many parts a slow client reads: more than the sockets hold. */
const SLOW_PARTS = 96;
export const SLOW_LENGTH: number = SLOW_PARTS * PART.length;

export class MixedLog {
  readonly #scopes = new Map<string, Scope>();
  readonly #statuses = new Map<string, number>();
  readonly #reached = new Set<string>();
  readonly #held = new Map<string, () => void>();
  readonly #released = new Set<string>();
  #listener: ((line: string) => void) | undefined;

  /** Calls `listener` with each point that a request reaches: `12 arrived`. */
  listen(listener: (line: string) => void): void {
    this.#listener = listener;
    for (const line of this.#reached) listener(line);
  }

  #note(id: string, point: Point): void {
    const line = `${id} ${point}`;
    this.#reached.add(line);
    this.#listener?.(line);
  }

  /** To be called in front of the handler. A request for `late` waits here until its client has left. */
  async arrive(url: string): Promise<void> {
    const [, id = "", what] = url.split("/");
    this.#note(id, "arrived");
    if (what !== "late" || this.#released.has(id)) return;
    await new Promise<void>((resolve) => this.#held.set(id, resolve));
  }

  release(id: string): void {
    this.#released.add(id);
    this.#held.get(id)?.();
  }

  work(id: string, scope: Scope): void {
    this.#scopes.set(id, scope);
    this.#note(id, "working");
  }

  /** For the hook `onCancelled`. */
  readonly onCancelled = (
    { status }: { status: number },
    { url = "" }: { url?: string | undefined },
  ): void => {
    const [, id = ""] = url.replace(/^\w+:\/\/[^/]+/, "").split("/");
    this.#statuses.set(id, status);
  };

  rows(): Row[] {
    return [...this.#scopes].map(([id, { reason, state }]) => [
      id,
      reason?.kind ?? null,
      state,
      this.#statuses.get(id) ?? null,
    ]);
  }

  /** The paths of what is still below `root`, without the requests of the test itself. */
  left(root: Scope): string[] {
    return snapshot(root)
      .children.map(({ path }) => path)
      .filter((path) => !path.includes("/control/"));
  }
}

/** What a handler knows of its request. */
export interface MixedRequest {
  readonly id: string;
  readonly what: string;
  readonly scope: Scope;
  /** The scope of the server. */
  readonly root: Scope;
  /** Reads the body. */
  readonly body: () => Promise<string>;
}

/** The work of a handler: the body of its response, or the parts of it. */
export async function playMixed(
  log: MixedLog,
  request: MixedRequest,
): Promise<string | AsyncGenerator<string>> {
  const { id, what, scope, body } = request;
  if (what === "plant-missed") return plantMissed(log, request);
  log.work(id, scope);
  void scope.signal;
  switch (what) {
    case "work":
      return `{"id":"${id}","sum":${await sum(scope)}}`;
    case "body":
    case "upload":
      return body();
    case "stream":
      return parts(scope, ["a", "b", "c"], 5);
    case "slow":
      return parts(scope, Array<string>(SLOW_PARTS).fill(PART));
    case "idle":
      return parts(scope, ["a"], 0, 100_000);
    case "endless":
      return parts(scope, Array<string>(100_000).fill("a"), 5);
    case "flood":
      return parts(scope, Array<string>(100_000).fill(PART));
    case "plant-false":
      cancelAs(scope, "disconnected");
      return `{"id":"${id}","sum":3}`;
    case "plant-left":
      spawn(request.root, async function leftover(task) {
        await sleep(task, 100_000);
      });
      return `{"id":"${id}","sum":3}`;
    case "plant-error":
      try {
        await sleep(scope, 100_000);
      } catch (error) {
        console.error("planted", error);
        throw error;
      }
  }
  await sleep(scope, 100_000);
  return "never";
}

/** A cancellation that does not arrive: the handler works in a scope that does not depend on the request. */
async function plantMissed(log: MixedLog, { id, root }: MixedRequest): Promise<string> {
  const scope = createScope(root, { name: "planted" });
  log.work(id, scope);
  await sleep(scope, 100_000);
  return "never";
}

async function sum(scope: Scope): Promise<number> {
  const tasks = [
    spawn(scope, async () => 1),
    spawn(scope, async (task) => {
      await sleep(task, 1);
      return 2;
    }),
  ];
  const [a = 0, b = 0] = await Promise.all(tasks);
  return a + b;
}

/** The parts of a response, `pause` ms apart. After the last, it waits for `wait` ms. */
async function* parts(
  scope: Scope,
  texts: readonly string[],
  pause = 0,
  wait = 0,
): AsyncGenerator<string, void, undefined> {
  for (const text of texts) {
    if (pause > 0) await sleep(scope, pause);
    yield text;
  }
  if (wait > 0) await sleep(scope, wait);
}

import type { Gateway } from "./gateway.js";
import type { FakeModel } from "./fake-model.js";
import { read, type Reading, type ReadOptions } from "./reader.js";

/** The behaviour of some readers, all at once. */
export interface Scene {
  readonly name: string;
  readonly question: string;
  readonly options?: () => ReadOptions;
  /** Whether its readers meet a deadline, which is that of a clock. */
  readonly isLate?: true;
  /** Whether the gateway shuts down meanwhile. */
  readonly shutsDown?: true;
}

const READERS = 8;

/** Milliseconds; see `Model`. */
export const limits = { firstToken: 1_000, total: 3_000 } as const;

export const scenes: readonly Scene[] = [
  { name: "read to the end", question: "tokens=100 first=50 pace=5" },
  {
    name: "leave after 20 tokens",
    question: "tokens=100 first=50 pace=5",
    options: () => ({ leaveAfter: 20 }),
  },
  {
    name: "leave before the first token",
    question: "tokens=100 first=500 pace=5",
    options: () => ({ leaveWhen: new Promise((resolve) => setTimeout(resolve, 100)) }),
  },
  { name: "get no first token in time", question: "tokens=100 first=60000", isLate: true },
  { name: "get no whole answer in time", question: "tokens=100 first=50 pace=100", isLate: true },
  { name: "read while the gateway shuts down", question: "tokens=100 first=50 pace=10", shutsDown: true },
];

/** The outcome of a scene. */
export interface Row {
  readonly scene: string;
  readonly readers: number;
  readonly planned: number;
  readonly generated: number;
  readonly read: number;
  /** The statuses and last events that the readers got. */
  readonly got: string;
  /** Milliseconds from a reader's leaving until the model stopped, the median. */
  readonly stopped: number | undefined;
}

/** Plays the scenes on a gateway, one after the other. At the end the gateway is shut down. */
export async function play(
  gateway: Gateway,
  url: string,
  model: FakeModel,
  played: readonly Scene[] = scenes,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scene of played) {
    const { planned, generated } = model;
    const ids = Array.from({ length: READERS }, (_, index) => rows.length * READERS + index + 1);
    const ask = (id: number): Promise<Reading> => read(url, `${scene.question} id=${id}`, scene.options?.());
    const asked = Promise.all(ids.map(ask));
    if (scene.shutsDown === true) {
      while (model.running < READERS || model.generated - generated < 10 * READERS)
        await new Promise((resolve) => setTimeout(resolve, 1));
      await gateway.shutdown();
    }
    const readings = await asked;
    while (model.running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const delays = readings.map(
      ({ leftAt }, index) => (model.stoppedAt.get(ids[index] as number) ?? NaN) - (leftAt ?? NaN),
    );
    rows.push({
      scene: scene.name,
      readers: READERS,
      planned: model.planned - planned,
      generated: model.generated - generated,
      read: readings.reduce((sum, { tokens }) => sum + tokens, 0),
      got: [...new Set(readings.map(gotBy))].join(", "),
      stopped: medianOf(delays.filter((delay) => !Number.isNaN(delay))),
    });
  }
  return rows;
}

function gotBy({ status, end, leftAt }: Reading): string {
  if (leftAt !== undefined) return "left";
  return end === undefined ? String(status) : `${status}, ${end.reason}`;
}

function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

import { getEventListeners, setMaxListeners } from "node:events";
import { createScope } from "./bough.js";
import { interleave, nsSince, type Case, type Group } from "./harness.js";
import { rounds } from "./options.js";

const COUNT = 10_000;

/** `follow` lets so many things follow one signal, and returns what waits for their end. */
function following(label: string, follow: (signal: AbortSignal) => () => Promise<unknown>): Case {
  const run = async (): Promise<readonly number[]> => {
    const owner = new AbortController();
    setMaxListeners(0, owner.signal); // Node 20 warns at 11
    const since = process.hrtime.bigint();
    const ended = follow(owner.signal);
    const followNs = nsSince(since) / COUNT;
    const listeners = getEventListeners(owner.signal, "abort").length;
    const aborted = process.hrtime.bigint();
    owner.abort();
    await ended();
    return [followNs, nsSince(aborted) / COUNT, listeners];
  };
  return { label, run };
}

const scopes = following("bough: createScope({ signal })", (signal) => {
  const handles = Array.from({ length: COUNT }, () => createScope({ signal }));
  return () => Promise.all(handles.map((handle) => handle.close()));
});

const label = "a controller and a listener each, by hand";
const listeners = following(label, (signal) => {
  for (let index = 0; index < COUNT; index++) {
    const controller = new AbortController();
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return () => Promise.resolve();
});

/** One foreign signal with many followers. */
export const foreign: Group = {
  name: "foreign",
  async run(progress) {
    const rows = await interleave([listeners, scopes], rounds(9, 2), rounds(1, 0), progress);
    return [
      {
        title: `${COUNT.toLocaleString("en")} scopes that follow one AbortSignal, for each`,
        metrics: [
          { name: "follow", unit: "ns" },
          { name: "abort + end", unit: "ns" },
          { name: "listeners in all", unit: "count" },
        ],
        base: label,
        rows,
        targets: [],
        notes: ["Adding a listener scans those there are, so doing it by hand is quadratic."],
      },
    ];
  },
};

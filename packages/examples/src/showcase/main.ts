// `npm start`: plays the showcase. Exits with 0 if everything held, 1 if not, 130 after Ctrl-C.
// `npm start -- --serve` keeps the price comparison running until Ctrl-C, to be looked into; with `--plant-stuck`, one task
// of it ignores its cancellation.
// `npm start -- --visits=24 --workers=4096` sends fewer clients, and starts fewer workers, than usual.

import { constants } from "node:os";
import { parseArgs } from "node:util";
import { isCancelled, withScope } from "bough";
import { createPricesAct } from "./acts/prices.js";
import { createRenderFarmAct } from "./acts/render-farm.js";
import { createWorkersAct } from "./acts/workers.js";
import { serveLive } from "./live.js";
import { playAll } from "./showcase.js";
import { openStage } from "./terminal/stage.js";

type Signal = "SIGINT" | "SIGTERM" | "SIGPIPE";

const { values } = parseArgs({
  options: {
    visits: { type: "string" },
    workers: { type: "string" },
    serve: { type: "boolean" },
    "plant-stuck": { type: "boolean", default: false },
  },
});
const schedule = values.visits === undefined ? {} : { visits: Number(values.visits) };
const crew = values.workers === undefined ? {} : { workers: Number(values.workers) };

try {
  const held = await withScope({ name: "showcase" }, async (scope) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      // Once: whoever presses Ctrl-C twice means it.
      const stop = (): void => void scope.cancel(signal);
      process.once(signal, stop);
      scope.defer(() => process.off(signal, stop));
    }
    // The reader has closed the pipe: `npm start | head`. Node ignores the signal and reports an error instead.
    process.stdout.on("error", () => void scope.cancel("SIGPIPE" satisfies Signal));
    if (values.serve === true) {
      await serveLive(scope, { plantStuck: values["plant-stuck"], print: (line) => console.log(line) });
      return true;
    }
    const stage = openStage(scope, process.stdout);
    const acts = [
      createPricesAct(stage.paint, { schedule }),
      createWorkersAct(stage.paint, crew),
      createRenderFarmAct(stage.paint),
    ];
    return playAll(scope, stage, acts);
  });
  process.exitCode = held ? 0 : 1;
} catch (error) {
  if (!isCancelled(error)) throw error;
  console.log(
    `\nStopped by ${String(error.cause)}: every request, call, socket and worker was cancelled and awaited.`,
  );
  process.exitCode = 128 + constants.signals[error.cause as Signal];
}

// A worker process: renders tiles until it is told to stop. Argument: the database.

import { sleep } from "bough";
import { main } from "bough/process";
import { implement, serve } from "bough/remote";
import { openEngine } from "./engine.js";
import { renderTile, report } from "./tile.js";

const [database = ""] = process.argv.slice(2);

await main(async function worker(scope) {
  const render = implement(renderTile, async (job, tile) => {
    report("start", { tile });
    job.onCancel(({ kind }) => report("stopped", { tile, kind }));
    try {
      await sleep(job, tile.ms); // stands for a child process or a GPU that `job.signal` stops
      return `${tile.picture}-${tile.number}.png`;
    } finally {
      report("end", { tile });
    }
  });
  await serve(scope, openEngine(database), [render], { concurrency: 4, lease: 10_000 });
  report("ready");
});

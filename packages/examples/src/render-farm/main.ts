// An API whose requests fan out over worker processes, and what happens when clients, APIs and workers go away.

import { sleep, spawn } from "bough";
import { main } from "bough/process";
import { startPostgres } from "../reports/postgres.js";
import { playScenes, type Progress } from "./scenes.js";

await main(async function renderFarm(scope) {
  const database = await startPostgres(scope);
  const progress: Progress = { farm: undefined, scene: "" };
  spawn(
    scope,
    async (painter) => {
      for (let last = ""; ; await sleep(painter, 200)) {
        const running = progress.farm?.running.length ?? 0;
        const line = `${progress.scene}; ${running} tiles are being rendered`;
        if (line !== last) console.log((last = line));
      }
    },
    { daemon: true },
  );
  const outcome = await playScenes(scope, database, progress);
  console.log(`
${outcome.complete} pictures complete
${outcome.abandoned} tiles abandoned by their clients: the last stopped ${outcome.hangUp.toFixed(1)} ms after a client had hung up
${outcome.orphaned} tiles of a killed API: the last stopped ${outcome.apiKill.toFixed(0)} ms after the kill
${outcome.moved} of ${outcome.stranded} tiles of a killed worker rendered by another
${outcome.left} tiles left over`);
});

import { startPostgres, whyNoPostgres } from "../../reports/postgres.js";
import { playScenes, type Outcome, type Progress } from "../../render-farm/scenes.js";
import { LEASE } from "../../render-farm/tile.js";
import type { Act, Check } from "../act.js";
import type { Paint } from "../terminal/paint.js";

/** Milliseconds: a signal that comes later than this did not come at once, on a machine that does other things, too. */
const AT_ONCE = 1_000;

/** Act three: tasks that run in other processes, and end with their request. */
export function createRenderFarmAct(paint: Paint): Act {
  const progress: Progress = { farm: undefined, scene: "Postgres starts" };
  const missing = whyNoPostgres();
  let outcome: Outcome | undefined;

  const running = (): number => progress.farm?.running.length ?? 0;
  return {
    name: "render-farm",
    title: "Child tasks in other processes",
    introduction: [
      "Two APIs have pictures rendered by three worker processes, through pg-boss on an embedded",
      "Postgres. Clients hang up, a worker and an API are killed (kill -9). What is still being",
      "rendered then stops, or is rendered by another worker.",
    ],

    async play(scope) {
      if (missing !== undefined) {
        progress.scene = `not played: ${missing}`;
        return;
      }
      outcome = await playScenes(scope, await startPostgres(scope), progress);
    },

    frame: () => [
      paint.bold(progress.scene),
      `${paint.green("█".repeat(running()))} ${running()} tiles are being rendered`,
    ],
    line: () => `${progress.scene}: ${running()} tiles are being rendered`,
    summary: () =>
      outcome === undefined ? ["", `  ${progress.scene}`, ""] : ["", ...summaryOf(outcome), ""],
    checks: () => (outcome === undefined ? [] : checksOf(outcome)),
  };
}

function summaryOf({ hangUp, apiKill, abandoned, orphaned }: Outcome): string[] {
  return [
    `  ${abandoned} tiles were abandoned by their clients: the last stopped ${hangUp.toFixed(1)} ms after a client had hung up`,
    `  ${orphaned} tiles of a killed API: the last stopped ${apiKill.toFixed(0)} ms after the kill`,
  ];
}

function checksOf({ complete, hangUp, apiKill, stranded, moved, left }: Outcome): Check[] {
  const yes = (holds: boolean, found: number): string | number =>
    holds ? "yes" : `no: ${found.toFixed(0)} ms`;
  return [
    { claim: "pictures whose client waited, and got all tiles", expected: 5, found: complete },
    {
      claim: "tiles of a client that hung up stop at once",
      expected: "yes",
      found: yes(hangUp < AT_ONCE, hangUp),
    },
    {
      claim: "tiles of a killed API stop within its lease",
      expected: "yes",
      found: yes(apiKill <= LEASE + 100, apiKill),
    },
    { claim: "tiles of a killed worker that another one rendered", expected: stranded, found: moved },
    { claim: "tiles still being rendered", expected: 0, found: left },
  ];
}

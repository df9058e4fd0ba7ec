import { sleep, spawn, withScope, type Scope } from "bough";
import { holds, type Act } from "./act.js";
import type { Stage } from "./terminal/stage.js";

/**
 * Plays the acts one after the other, and draws each while it plays.
 *
 * @returns Whether everything that the acts claim was true.
 */
export async function playAll(scope: Scope, stage: Stage, acts: readonly Act[]): Promise<boolean> {
  let failed = 0;
  for (const [index, act] of acts.entries()) {
    const { bold, dim } = stage.paint;
    stage.print([bold(`Act ${index + 1} of ${acts.length}: ${act.title}`)]);
    stage.print([...act.introduction.map(dim), ""]);
    await play(scope, stage, act);
    stage.print([...act.summary(), ...verdict(stage, act)]);
    failed += act.checks().filter((check) => !holds(check)).length;
  }
  const { bold, green, red } = stage.paint;
  stage.print([
    failed === 0 ? bold(green("Everything held.")) : bold(red(`${failed} claim(s) did not hold.`)),
  ]);
  return failed === 0;
}

/** The painter is a daemon: it stops when the act is over, and the act is not over before it has stopped. */
function play(scope: Scope, stage: Stage, act: Act): Promise<void> {
  return withScope(scope, { name: act.name }, async (scope) => {
    scope.defer(() => {
      stage.draw(act); // how it ended, which in a log is the last line
      stage.clear();
    });
    spawn(scope, (scope) => repaint(scope, stage, act), { name: "painter", daemon: true });
    await act.play(scope);
  });
}

async function repaint(scope: Scope, stage: Stage, act: Act): Promise<void> {
  for (;;) {
    stage.draw(act);
    await sleep(scope, stage.interval);
  }
}

function verdict({ paint }: Stage, act: Act): string[] {
  const lines = act.checks().map((check) => {
    if (holds(check)) return `  ${paint.green("✓")} ${check.claim}: ${check.found}`;
    return paint.red(`  ✗ ${check.claim}: expected ${check.expected}, found ${check.found}`);
  });
  return [...lines, ""];
}

// Prints how many daemons are alive, as the original does: while they are started, after each phase, and after a forced
// garbage collection. `--rounds=4096` starts fewer.

import { parseArgs } from "node:util";
import { createScope, sleep, withScope } from "bough";
import { collectGarbage } from "bough/testing";
import { createDoer, createSelfCleaningDoer, liveDaemons } from "./doer.js";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "65536" } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  throw new RangeError(`--rounds must be a whole number from 1, got ${JSON.stringify(values.rounds)}`);
}

/** Makes doers and forgets them. */
function makeDoers(make: () => unknown): void {
  for (let i = 0; i < rounds; i += 1) {
    make();
    if (i % 1024 === 0) console.log(liveDaemons());
  }
}

await withScope(async (scope) => {
  await using plain = createScope(scope, { name: "plain doers" });

  console.log("Phase 1");
  makeDoers(() => createDoer(plain));
  console.log(`Daemons after phase 1: ${liveDaemons()}\n`);

  console.log("Phase 2");
  makeDoers(createSelfCleaningDoer);
  console.log(`Daemons after phase 2: ${liveDaemons()}\n`);

  console.log("Forcing GC...");
  console.log("Sleeping to give daemons a chance to exit...");
  await collectGarbage();
  await sleep(scope, 1_000);
  console.log(`Daemons after the collection: ${liveDaemons()}`);

  // In Go the plain ones are lost. Here they have an owner, who can still end them.
  await plain.close();
  console.log(`Final daemons: ${liveDaemons()}`);
});

import { createScope } from "bough";
import { describe, expect, it } from "vitest";
import { startPostgres, whyNoPostgres } from "../reports/postgres.js";
import { playScenes } from "./scenes.js";
import { LEASE } from "./tile.js";

const missing = whyNoPostgres();

describe.skipIf(missing !== undefined)(
  `render farm${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    it(
      "stops tiles without a waiting client, and moves the tiles of a killed worker",
      { timeout: 120_000 },
      async () => {
        const scope = createScope({ name: "test" });
        const outcome = await playScenes(scope, await startPostgres(scope), { farm: undefined, scene: "" });
        await scope.close();
        expect(outcome).toMatchObject({ complete: 5, orphaned: 4, left: 0 });
        expect(outcome.abandoned).toBeGreaterThan(0);
        expect(outcome.hangUp).toBeLessThan(1_000); // some ms on a machine that does nothing else
        expect(outcome.apiKill).toBeLessThanOrEqual(LEASE + 100);
        expect(outcome.moved).toBe(outcome.stranded);
      },
    );
  },
);

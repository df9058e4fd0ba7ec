import { pgBossEngine } from "bough/pg-boss";
import type { Engine } from "bough/remote";

/** pg-boss on the given database. A lock can't be shorter than ten seconds there. */
export function openEngine(connectionString: string): Engine {
  return pgBossEngine({ connectionString, lockSeconds: 10 });
}

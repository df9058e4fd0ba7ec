/**
 * The engine of `bough/remote` for Postgres, by pg-boss.
 *
 * @module
 */
export { pgBossEngine, type PgBossEngineOptions } from "./engine.js";

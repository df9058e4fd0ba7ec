export { pgBossEngine, type PgBossEngineOptions } from "./engine.js";

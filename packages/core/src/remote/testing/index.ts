/**
 * An engine in memory, for tests, and the tests that every adapter of an engine has to pass.
 *
 * @module
 */
export { memoryEngine, type MemoryEngine } from "./memory-engine.js";
export type { CutMode, HintMode } from "./memory-faults.js";
export type { StoredJobInfo } from "./memory-store.js";
export { engineSuite, type EngineCase } from "./engine-suite.js";
export type { EngineSubject, Undo } from "./harness.js";

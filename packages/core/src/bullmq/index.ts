/**
 * The engine of `bough/remote` for Redis, by BullMQ.
 *
 * @module
 */
export { bullmqEngine, type BullmqEngineOptions } from "./engine.js";

export { bullmqEngine, type BullmqEngineOptions } from "./engine.js";

/**
 * Effection operations as workers, and each library inside the other. Importing it makes generator functions workers. The
 * guide is `docs/interop.md`.
 *
 * @module
 */
import { setRoutineRunner } from "../task/routine.js";
import { runOperation } from "./run-operation.js";

export { boughScope } from "./run-operation.js";
export { effectionScope } from "./effection-scope.js";
export { useBoughScope } from "./use-bough-scope.js";
export { useOperation } from "./use-operation.js";

// Importing this module makes generator functions workers. Here, and not beside runOperation: package.json names this file
// as one with a side effect, so that no bundler drops it.
setRoutineRunner(runOperation);

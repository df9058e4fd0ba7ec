/**
 * A current scope, for code that an argument cannot reach. The guide is `docs/ambient.md`.
 *
 * @module
 */
export { ambient } from "./ambient.js";
export { currentScope, runWithScope } from "./current-scope.js";

export { ambient } from "./ambient.js";
export { currentScope, runWithScope } from "./current-scope.js";

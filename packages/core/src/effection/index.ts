export { boughScope } from "./run-operation.js";
export { effectionScope } from "./effection-scope.js";
export { useBoughScope } from "./use-bough-scope.js";
export { useOperation } from "./use-operation.js";

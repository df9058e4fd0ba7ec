export { main } from "./main.js";
export type { MainOptions } from "./options.js";
export type { ShutdownNotice } from "./draining.js";
export type { MainScope } from "./main-scope.js";

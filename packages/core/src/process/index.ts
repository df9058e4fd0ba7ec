/**
 * `main`: the root scope of a process, with signals and exit codes. The guide is `docs/process.md`.
 *
 * @module
 */
export { main } from "./main.js";
export type { MainOptions } from "./options.js";
export type { ShutdownNotice } from "./shutdown-notice.js";
export type { MainScope } from "./main-scope.js";

export { main } from "./main.js";
export type { MainOptions } from "./options.js";
export type { ShutdownNotice } from "./shutdown-notice.js";
export type { MainScope } from "./main-scope.js";

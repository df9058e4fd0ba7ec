export { main } from "./main.js";
export type { MainOptions } from "./options.js";

export { checkLeaks } from "./check-leaks.js";
export type { LeakOptions } from "../testing/index.js";

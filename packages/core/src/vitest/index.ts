/**
 * The leak check of `bough/testing` for the tests of a file or a `describe` of vitest.
 *
 * @module
 */
export { checkLeaks } from "./check-leaks.js";
export type { LeakOptions } from "../testing/index.js";

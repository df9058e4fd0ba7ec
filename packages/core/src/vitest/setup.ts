/**
 * Checks every test of vitest for leaks: put it into `setupFiles`. It exports nothing.
 *
 * @module
 */
import { checkLeaks } from "./check-leaks.js";

// For `setupFiles: ["bough/vitest/setup"]`: every test of every file.
checkLeaks();

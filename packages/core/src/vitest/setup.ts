import { checkLeaks } from "./check-leaks.js";

// For `setupFiles: ["bough/vitest/setup"]`: every test of every file.
checkLeaks();

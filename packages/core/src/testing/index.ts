export { collectGarbage } from "./collect-garbage.js";
export { expectCollected, RetainedError } from "./expect-collected.js";
export { expectNoLeaks } from "./expect-no-leaks.js";
export { findLeaks, ignoreCurrent, verifyNoLeaks } from "./find-leaks.js";
export type { IgnoredLeaks } from "./ignored-leaks.js";
export type { LeakFilter, LeakOptions } from "./options.js";
export { recordOrigins } from "./recorder.js";
export { LeakError, type LeakReport } from "./report.js";

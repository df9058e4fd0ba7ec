/**
 * Leak checks, checks that an object is collected, and a virtual clock, for every test runner.
 *
 * @module
 */
export { collectGarbage } from "./heap/collect-garbage.js";
export { expectCollected, RetainedError } from "./heap/expect-collected.js";
export { expectNoLeaks } from "./leaks/expect-no-leaks.js";
export { findLeaks, ignoreCurrent, verifyNoLeaks } from "./leaks/find-leaks.js";
export type { IgnoredLeaks } from "./leaks/ignored-leaks.js";
export type { LeakFilter, LeakOptions } from "./leaks/options.js";
export { recordOrigins } from "./leaks/recorder.js";
export { LeakError, type LeakReport } from "./leaks/report.js";
export { withVirtualClock, type VirtualClock, type VirtualClockOptions } from "./clock/virtual-clock.js";
export { VirtualClockError } from "./clock/virtual-clock-error.js";

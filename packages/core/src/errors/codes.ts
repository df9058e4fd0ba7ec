/**
 * The codes of bough's errors, and what raises each. A code is stable; the message that comes with it is not.
 *
 * This is the one list: `BoughError` takes no other code.
 */
export type BoughErrorCode =
  // Cancellation
  /** `CancelledError`: a scope was cancelled; `kind` says how. Thrown by everything that waits in the scope. */
  | "BOUGH_CANCELLED"
  /** `DeadlineExceededError`: the timeout or the deadline of a scope has passed. */
  | "BOUGH_DEADLINE_EXCEEDED"

  // Scopes
  /** `ScopeClosedError`: something was started, set, deferred or awaited in a scope that has ended. */
  | "BOUGH_SCOPE_CLOSED"
  /** `StuckTasksError`: the grace period has passed, and tasks of a cancelled scope have not settled. Also a warning. */
  | "BOUGH_STUCK_TASKS"
  /** `MissingContextError`: `scope.get(key)` found no value, and the key has no default. */
  | "BOUGH_MISSING_CONTEXT"
  /** `set`, `defer` or `use` was called on `background`, which never ends. */
  | "BOUGH_BACKGROUND"
  /** A scope of another copy of the package was passed. */
  | "BOUGH_FOREIGN_SCOPE"
  /** A worker returned a generator, and nothing has imported `bough/effection`. */
  | "BOUGH_NO_EFFECTION"

  // Channels and start
  /** `ChannelClosedError`: `send`, `receive` or `select` on a channel that is closed. */
  | "BOUGH_CHANNEL_CLOSED"
  /** The worker of `start` ended without having called `started`. */
  | "BOUGH_NOT_STARTED"
  /** The worker of `start` called `started` twice, or after it had ended. */
  | "BOUGH_STARTED"

  // bough/process and the HTTP entries
  /** `main` was called while another `main` is running in the process. */
  | "BOUGH_NESTED_MAIN"
  /** `onError` of `main`: the scope has ended, and something outside it still keeps the process alive. */
  | "BOUGH_PROCESS_HELD"
  /** `serverScope`: the server already has another `parent`. `BoughModule`: imported twice, or no supported HTTP server. */
  | "BOUGH_SERVER_SCOPE"
  /** `requestScope` of `bough/web`, a decorator of `bough/nest`: the request has no scope. */
  | "BOUGH_NO_REQUEST_SCOPE"

  // bough/inspector
  /** `inspector()` was called while `NODE_ENV` is `production`, without the option `production`. */
  | "BOUGH_INSPECTOR_PRODUCTION"

  // bough/recorder
  /** `decodeRecording`: not a recording, damaged, or of another version. `createRecorder`: no diagnostics channels. */
  | "BOUGH_RECORDING"

  // bough/streams
  /** A Node stream was closed before its end, while `iterate` read it or `pipe` wrote to it. */
  | "BOUGH_PREMATURE_CLOSE"

  // bough/remote
  /** `RemoteLostError`: a remote job has no outcome; `why` says whether its worker, a lease or the job was lost. */
  | "BOUGH_REMOTE_LOST"
  /** `RemoteRefusedError`: data or a result is too big, can't be written as JSON, or does not fit its schema. */
  | "BOUGH_REMOTE_REFUSED"

  // bough/testing
  /** `LeakError`: something is alive after the end of a test. */
  | "BOUGH_LEAKS"
  /** `RetainedError`: an object that should have been collected is alive. */
  | "BOUGH_RETAINED"
  /** `collectGarbage`: the engine has no way to start a garbage collection. */
  | "BOUGH_NO_GC"
  /** `VirtualClockError`: all code in the test waits, and no timer is pending. */
  | "BOUGH_BLOCKED"
  /** `VirtualClockError`: I/O has kept the process busy for longer than `stalledAfter`. */
  | "BOUGH_STALLED"
  /** `VirtualClockError`: the clock has jumped more than `jumps` times. */
  | "BOUGH_ENDLESS"
  /** `VirtualClockError`: the test ended before the body of its `withVirtualClock` did. */
  | "BOUGH_CLOCK_ABANDONED"
  /** `withVirtualClock`: another clock, virtual or fake, is installed. */
  | "BOUGH_CLOCK_INSTALLED"
  /** `withVirtualClock`: the package `@sinonjs/fake-timers` is not installed. */
  | "BOUGH_NO_FAKE_TIMERS";

/** The codes of the warnings that bough emits on the process, and what raises each. */
export type BoughWarningCode =
  /** `BoughStuckWarning`: the same report as the error, for a scope whose failure has no receiver. */
  | "BOUGH_STUCK_TASKS"
  /** `BoughOrphanWarning`: a handle was collected before its scope was closed. */
  | "BOUGH_ORPHAN"
  /** `BoughVirtualClockWarning`: a timer does not follow the virtual clock. */
  | "BOUGH_REAL_TIME";

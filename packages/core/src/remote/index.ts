/**
 * Tasks whose workers run in other processes, through a job engine: cancelling and deadlines cross.
 *
 * @module
 */
export type {
  Backoff,
  Beat,
  BeatAnswer,
  ConsumeOptions,
  Consumer,
  Delivery,
  Engine,
  EngineConnection,
  EngineRef,
  Envelope,
  Held,
  Hint,
  JobState,
  Outcome,
  Settlement,
  Topic,
  WireError,
  WireReason,
  WireValue,
} from "./engine.js";
export {
  RemoteError,
  RemoteLostError,
  RemoteRefusedError,
  type LostReason,
  type RemoteErrorInfo,
} from "./errors.js";
export {
  defineJob,
  implement,
  type AnyImplementation,
  type Implementation,
  type Job,
  type JobInfo,
  type JobOptions,
  type JobRef,
  type JobWorker,
  type Parser,
  type StandardResult,
  type StandardSchema,
} from "./job.js";
export type { Codec } from "./payload.js";
export { connectRemote, type AttachOptions, type Remote } from "./remote.js";
export type {
  DetachJobOptions,
  RemoteOptions,
  RemoteTaskOptions,
  ServeOptions,
  SharedOptions,
  TracePropagator,
} from "./remote-options.js";
export { serve, type Service } from "./serve.js";
export { monotonicNow } from "./time.js";
export type { Redact } from "./wire.js";

/**
 * What is alive: snapshots of the tree, and the messages of the diagnostics channels. The guide is `docs/diagnostics.md`.
 *
 * @module
 */
export type {
  OrphanMessage,
  ScopeCancelMessage,
  ScopeCloseMessage,
  ScopeOpenMessage,
  StuckMessage,
  TaskSettleMessage,
  TaskStartMessage,
} from "../kernel/diagnostics.js";
export type { ScopeKind } from "../kernel/scope-kind.js";
export { setTracing } from "../kernel/call-site.js";
export { formatTree } from "./format.js";
export {
  snapshot,
  type Snapshot,
  type SnapshotCounts,
  type SnapshotKind,
  type SnapshotReason,
} from "./snapshot.js";

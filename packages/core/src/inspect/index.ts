/**
 * The tree of a process, as data and as text, and the messages of the diagnostics channels. The guide is
 * `docs/diagnostics.md`.
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
export type { WaitInfo } from "./waits.js";
export type { Listening, NodeInfo, NodeKind, ReasonInfo, SurvivedInfo } from "./describe-node.js";
export { diffNodes, type TreeDiff } from "./diff.js";
export { flatten } from "./flatten.js";
export { formatTree } from "./format.js";
export { groupNodes, type GroupBy, type GroupOptions, type NodeGroup } from "./groups.js";
export { waitLabel } from "./labels.js";
export type { Look, LoopDelay, TreeSource } from "./look.js";
export type { RequestInfo } from "./request-info.js";
export { snapshot } from "./snapshot.js";
export { stringifyTree } from "./stringify.js";
export { unflatten, type Snapshot, type SnapshotCounts } from "./unflatten.js";
export type { Warning, WarningCode } from "./warning.js";
export { createWatcher, type Watcher, type WatcherOptions } from "./watcher.js";
export { walk, type WalkOptions } from "./walk.js";

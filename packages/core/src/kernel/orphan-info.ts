/** What a scope whose handle was collected tells about itself. A plain object: it keeps nothing alive. */
export interface OrphanInfo {
  readonly name: string;
  readonly path: string;
  /** Milliseconds since it was created. */
  readonly age: number;
  /** Tasks below it that were still running. */
  readonly liveTasks: number;
  /** Where it was created; recorded only while tracing is on. */
  readonly createdAt?: string;
}

/** What happens when an owner handle is collected before its scope was closed. */
export type OrphanPolicy = "warn" | "ignore" | ((info: OrphanInfo) => unknown);

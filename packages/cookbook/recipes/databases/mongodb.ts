import type { Scope } from "bough";

/** Options for an operation: the driver aborts it with `scope`, and the server stops it at the deadline of `scope`. */
export function within(scope: Scope): { signal: AbortSignal; maxTimeMS?: number } {
  const { signal, deadline } = scope;
  if (deadline === undefined) return { signal };
  return { signal, maxTimeMS: Math.max(1, Math.ceil(deadline - Date.now())) };
}

// const users = await db.collection("users").find({ active: true }, within(scope)).toArray();

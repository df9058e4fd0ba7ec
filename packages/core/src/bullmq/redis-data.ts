import type { EngineRef, JobState, Outcome, Topic } from "../remote/engine.js";
import { readReason } from "../remote/wire.js";

/** The names of keys in Redis. All have one hash tag, so that they are in one slot of a cluster. */
export class Keys {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = `{${prefix}}`;
  }

  /** The hash in which BullMQ keeps a job. */
  job(ref: EngineRef): string {
    return `${this.prefix}:${ref.queue}:${jobId(ref)}`;
  }

  lock(ref: EngineRef): string {
    return `${this.job(ref)}:lock`;
  }

  note(ref: EngineRef): string {
    return `${this.prefix}:bough:note:${ref.queue}:${ref.id}`;
  }

  lease(owner: string): string {
    return `${this.prefix}:bough:lease:${owner}`;
  }

  channel(topic: Topic): string {
    return `${this.prefix}:bough:` + ("owner" in topic ? `owner:${topic.owner}` : `queue:${topic.queue}`);
  }
}

/** BullMQ refuses ids that are whole numbers. */
export function jobId({ id }: EngineRef): string {
  return `j-${id}`;
}

/** Returns `undefined` for text that is not JSON, so that a heartbeat can read the other values. */
export function fromJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? "null") as unknown;
  } catch {
    return undefined;
  }
}

/** Separates the message of an error, for people, from its outcome as JSON. */
const MARK = "\nbough:";

/** A failure as BullMQ stores it: a message, for its dashboards, with the outcome. */
export function toFailedReason(outcome: Outcome): string {
  return `${messageOf(outcome)}${MARK}${JSON.stringify(outcome)}`;
}

function messageOf(outcome: Outcome): string {
  if (outcome.t === "lost") return "the worker was lost";
  if (outcome.t !== "error") return outcome.t;
  return "error" in outcome.error
    ? `${outcome.error.error.name}: ${outcome.error.error.message}`
    : String(outcome.error.value);
}

function fromFailedReason(reason: string): Outcome {
  const at = reason.lastIndexOf(MARK);
  return at < 0
    ? { t: "lost", why: "worker", message: reason }
    : (fromJson(reason.slice(at + MARK.length)) as Outcome);
}

/** The fields of a job's hash that determine its state. */
export const STATE_FIELDS = ["timestamp", "finishedOn", "returnvalue", "failedReason", "pb", "ats"] as const;

/** The state of a job from its hash, the existence of its lock, and its note. */
export function toState(
  fields: readonly (string | null)[],
  isLocked: boolean,
  note: string | null,
): JobState {
  const [timestamp, finishedOn, returned, failedReason, worker, attempt] = fields;
  if (timestamp === null || timestamp === undefined)
    return note === null
      ? { at: "missing" }
      : { outcome: { t: "cancelled", reason: readReason(fromJson(note)) } };
  if (typeof finishedOn === "string") {
    if (typeof failedReason === "string" && (returned === null || returned === undefined))
      return { outcome: fromFailedReason(failedReason) };
    return { outcome: fromJson(returned) as Outcome }; // the owner checks the value
  }
  if (!isLocked) return { at: "idle" };
  return {
    at: "running",
    worker: worker ?? undefined,
    attempt: attempt == null ? undefined : Number(attempt),
  };
}

/**
 * Sets the end of a lease: an absolute instant, never an earlier one, and only while the lease exists, unless it is fresh.
 * A renewal that was kept in an offline queue has no effect after the end.
 */
export const LEASE_SCRIPT = `
local until_ = tonumber(ARGV[1])
if until_ == 0 then redis.call('DEL', KEYS[1]) return 0 end
local current = redis.call('GET', KEYS[1])
if current and tonumber(current) >= until_ then return 1 end
if not current then
  if ARGV[2] ~= '1' then return 0 end
  local time = redis.call('TIME')
  if until_ <= time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[1])
return 1
`;

import type { EngineRef, Envelope } from "./engine.js";

/**
 * The envelope of a job that was fetched. Another program may have put other data into the queue, or an envelope of
 * another job: the worker refuses an envelope without a version.
 *
 * @param isFetchedJob - Whether the ref is that of the job that was fetched.
 */
export function toEnvelope(
  data: unknown,
  queue: string,
  id: string,
  isFetchedJob: (ref: EngineRef) => boolean,
): Envelope {
  const envelope = data as Envelope | null | undefined;
  if (typeof envelope?.queue === "string" && typeof envelope.id === "string" && isFetchedJob(envelope))
    return envelope;
  return { queue, id } as Envelope;
}

import * as Sentry from "@sentry/node";
import { isCancelled, type TaskInfo } from "bough";

/** Options for `Sentry.init`: drops cancellations, except timeouts. */
export const options: Sentry.NodeOptions = {
  beforeSend(event, { originalException: error }) {
    return isCancelled(error) && error.kind !== "deadline" ? null : event;
  },
};

/** An `onError` for scopes, servers and `main`. It is called once for each failure that no other code receives. */
export function report(error: unknown, task: TaskInfo): void {
  const { name, path, age } = task;
  Sentry.captureException(error, { tags: { task: name }, contexts: { bough: { path, age } } });
}

// Sentry.init({ dsn, ...options });
// createScope({ name: "jobs", supervise: true, onError: report });

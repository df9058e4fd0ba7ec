import * as Sentry from "@sentry/node";
import { isCancelled, type TaskInfo } from "bough";

/** The options for `Sentry.init`: what was cancelled on purpose is no issue. What ran out of time is one. */
export const options: Sentry.NodeOptions = {
  beforeSend(event, { originalException: error }) {
    return isCancelled(error) && error.kind !== "deadline" ? null : event;
  },
};

/** An `onError` for scopes, servers and `main`: it is called once for each failure that nobody has received. */
export function report(error: unknown, task: TaskInfo): void {
  const { name, path, age } = task;
  Sentry.captureException(error, { tags: { task: name }, contexts: { bough: { path, age } } });
}

// Sentry.init({ dsn, ...options });
// createScope({ name: "jobs", supervise: true, onError: report });

import * as Sentry from "@sentry/node";
import { createScope, sleep, spawn, withScope } from "bough";
import { afterAll, beforeAll, expect, it } from "vitest";
import { options, report } from "./sentry.js";

const sent: Sentry.Event[] = [];

beforeAll(() => {
  Sentry.init({
    ...options,
    dsn: "http://key@127.0.0.1/1",
    defaultIntegrations: false,
    // Instead of the network.
    transport: () => ({
      send: async ([, items]) => {
        for (const [header, item] of items) if (header.type === "event") sent.push(item as Sentry.Event);
        return { statusCode: 200 };
      },
      flush: async () => true,
    }),
  });
});
afterAll(() => Sentry.close());

it("reports a failed task by its path, and the failure of its cleanup", async () => {
  const jobs = createScope({ name: "jobs", supervise: true, onError: report });
  spawn(jobs, async function sync(task) {
    task.defer(() => {
      throw new Error("the cleanup, too");
    });
    throw new Error("no route");
  });
  await jobs.join();
  await Sentry.flush();
  expect(sent.map((event) => event.exception?.values?.[0]?.value)).toEqual(["no route", "the cleanup, too"]);
  expect(sent[0]?.tags).toMatchObject({ task: "sync" });
  expect(sent[0]?.contexts?.["bough"]).toMatchObject({ path: "jobs/sync" });
});

it("does not send cancellations, but sends a time-out", async () => {
  sent.length = 0;
  const scope = createScope();
  const waiting = sleep(scope, 60_000);
  scope.cancel();
  Sentry.captureException(await waiting.catch((error: unknown) => error));
  const late = withScope({ timeout: 1 }, (own) => sleep(own, 60_000));
  Sentry.captureException(await late.catch((error: unknown) => error));
  await Sentry.flush();
  expect(sent.map((event) => event.exception?.values?.[0]?.value)).toEqual(["timed out after 1 ms"]);
});

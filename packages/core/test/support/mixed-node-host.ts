import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { Readable } from "node:stream";
import { expect, onTestFinished, vi } from "vitest";
import { serverScope } from "../../src/http/index.js";
import { serverStateOf } from "../../src/http/server-scope.js";
import { MixedLog, playMixed, type MixedRequest } from "./mixed-log.js";
import { nothing, reportMixed, sendMixed, TOTAL, type MixedHost } from "./mixed-requests.js";

/** How a test makes a server: `logged` receives what it logs as an error. */
export type MakeServer = (log: MixedLog, logged: unknown[]) => Promise<Server> | Server;

/** What a handler responds with: text, or a stream. */
export async function respondMixed(log: MixedLog, request: MixedRequest): Promise<string | Readable> {
  const body = await playMixed(log, request);
  return typeof body === "string" ? body : Readable.from(body, { objectMode: false });
}

interface StartedHost extends MixedHost {
  readonly log: MixedLog;
  shutdown(): Promise<unknown>;
}

async function startHost(make: MakeServer): Promise<StartedHost> {
  const log = new MixedLog();
  const errors: unknown[] = [];
  const note = (...what: unknown[]): void => void errors.push(what);
  const print = vi.spyOn(console, "error").mockImplementation(note);
  process.on("warning", note); // of too many listeners, say
  const server = await make(log, errors);
  onTestFinished(() => {
    server.close();
    process.off("warning", note);
    print.mockRestore();
  });
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  const root = serverScope(server);
  const waiting = new Map<string, () => void>();
  const reached = new Set<string>();
  log.listen((line) => {
    reached.add(line);
    waiting.get(line)?.();
  });
  return {
    log,
    port: (server.address() as AddressInfo).port,
    pipelines: true,
    reached: async (id, point) => {
      const line = `${id} ${point}`;
      if (!reached.has(line)) await new Promise<void>((resolve) => waiting.set(line, resolve));
    },
    release: (id) => log.release(id),
    rows: () => log.rows(),
    errors: () => errors,
    left: () => [
      ...log.left(root),
      ...serverStateOf(server).records.map(({ node }) => `the record of ${node.path}`),
    ],
    shutdown: () => root.shutdown({ grace: 0 }),
  };
}

/** Sends the mixed requests to a server, and expects nothing wrong. */
export async function expectExactCancellations(name: string, make: MakeServer): Promise<void> {
  const began = performance.now();
  const host = await startHost(make);
  expect(await sendMixed(host, TOTAL)).toEqual(nothing);
  expect(await host.shutdown()).toMatchObject({ running: 0, cancelled: 0, stuck: [] });
  reportMixed(name, host.log.rows(), performance.now() - began);
}

/** Expects that each planted fault is found on a server. */
export async function expectPlantsFound(make: MakeServer): Promise<void> {
  const host = await startHost(make);
  const { wrong, left, errors } = await sendMixed(host, 0, true);
  expect(wrong.map(String).toSorted()).toEqual([
    expect.stringMatching(/^plant-false,disconnected,/),
    expect.stringMatching(/^plant-missed,,open,/),
  ]);
  expect(left.toSorted()).toEqual(["server/leftover", "server/planted"]);
  expect(errors).toEqual([["planted", expect.objectContaining({ kind: "disconnected" })]]);
  await host.shutdown();
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScope, createSemaphore, type Scope, type ScopeHandle } from "../../src/index.js";
import { engineSuite, type EngineSubject } from "../../src/remote/testing/index.js";
import type { Proxy } from "./proxy.js";

/** Each process of a case has a way of its own to the server, which can be cut. */
interface Way {
  readonly proxy: Proxy;
  readonly url: string;
}

type Ways = (process: string) => Promise<Way>;

/** The interface to a server that the cases of {@link testEngine} use. */
export interface TestServer {
  /** A new way to it. */
  readonly open: (process: string) => Promise<Way>;
  readonly subject: (ways: Ways) => EngineSubject;
}

/** Cases that concern all who use the server. */
const ofTheServer = /outage|has lost|takes no writes/;
/** Cases that take as long as some leases, since they wait for one to run out or to be renewed. */
const waitsForLease =
  /is lost|cut off|late result|of many owners|is gone|without any hint|leaves nothing|answers nothing|get lost/;
/** The lease of the other cases, in ms. It does not run out on a machine that pauses for seconds. */
const LONG_LEASE = 9_000;

/** Cases that wait longest. */
const isLong = /is lost|cut off|late result|of many owners/;

/** `BOUGH_LOAD=1 npx vitest run --project unit test/remote -t many`: the size of a large site. */
const load = process.env["BOUGH_LOAD"] === undefined ? {} : { owners: 1_000, jobs: 10_000 };

/** A server of Postgres takes a hundred connections, and a case has up to four processes. */
const AT_ONCE = 12;

/**
 * Runs the cases of `engineSuite` with a real server. They mostly wait for locks to expire, so they run at the same time. Cases
 * that break the server itself run one after the other, on another server.
 */
export function testEngine(start: (scope: Scope) => Promise<TestServer>): void {
  const names = engineSuite({
    engine: () => ({ name: "none", open: () => Promise.reject(new Error("none")) }),
  }).map(({ name }) => name);
  let scope: ScopeHandle;
  let shared: TestServer;
  let broken: TestServer;
  const turn = createSemaphore(1);
  const room = createSemaphore(AT_ONCE);

  beforeAll(async () => {
    scope = createScope({ name: "servers" });
    [shared, broken] = await Promise.all([start(scope), start(scope)]);
  });

  afterAll(() => scope.close());

  async function play(name: string, server: TestServer): Promise<void> {
    const opened = new Map<string, Promise<Way>>();
    const ways: Ways = (process) => {
      const way = opened.get(process) ?? server.open(process);
      opened.set(process, way);
      return way;
    };
    try {
      const subject = { ...faultsOf(ways), ...load, ...server.subject(ways) };
      const leases =
        ofTheServer.test(name) || waitsForLease.test(name)
          ? {}
          : { lease: LONG_LEASE, workerLease: LONG_LEASE };
      const found = engineSuite({ ...subject, ...leases }).find((each) => each.name === name);
      expect(found?.skipped).toBeUndefined();
      await found?.run();
    } finally {
      for (const way of opened.values()) (await way).proxy.close();
    }
  }

  async function inTurn(name: string): Promise<void> {
    using _turn = await turn.acquire(scope);
    await play(name, broken);
  }

  async function withOthers(name: string): Promise<void> {
    using _room = await room.acquire(scope);
    await play(name, shared);
  }

  const others = names.filter((name) => !ofTheServer.test(name));
  describe.concurrent("its cases", () => {
    it.each(names.filter((name) => ofTheServer.test(name)))("%s", inTurn, 300_000);
    it.each(others.filter((name) => isLong.test(name)))("%s", withOthers, 300_000);
    it.each(others.filter((name) => !isLong.test(name)))("%s", withOthers, 300_000);
  });
}

/** The faults of the connections to a server, for each process of a case. */
function faultsOf(ways: Ways): Omit<EngineSubject, "engine"> {
  const all = ["owner", "other", "worker", "first", "second", "port"];
  return {
    cut: async (process) => (await ways(process)).proxy.cut(),
    loseAnswers: async (process) => (await ways(process)).proxy.loseAnswers(),
    dropHints: async (process) => (await ways(process)).proxy.dropHints(),
    pause: async () => {
      const undo = await Promise.all(all.map(async (process) => (await ways(process)).proxy.freeze()));
      return () => {
        for (const each of undo) each();
      };
    },
  };
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawConnection } from "./support/http-clients.js";
import { ask, bundleHosts, fateOf, webHosts, type Form, type RunningHost } from "./support/web-hosts.js";

// A worker is stopped soon after its response, unless its `waitUntil` was called with a promise that is still pending.

let bundles: { readonly folder: string; readonly remove: () => void };
beforeAll(async () => void (bundles = await bundleHosts()));
afterAll(() => bundles.remove());

const forms: readonly Form[] = ["plain", "hono", "given", "middleware"];

for (const { label, start } of webHosts().filter(({ name }) => name === "workerd"))
  describe.skipIf(start === undefined).each(forms)(`rule 35: a worker in ${label}, %s`, (form) => {
    let host: RunningHost;
    beforeAll(async () => {
      if (start !== undefined) host = await start(form, bundles.folder);
    });
    afterAll(() => host.stop());

    it("lives until the cleanup of its request has run, which its handler has added after an await", async () => {
      const connection = new RawConnection(host.port);
      const answer = await connection.request({ path: "/1/cleanup-late" }).answer;
      connection.socket.destroy();
      expect(answer).toMatchObject({ status: 200, body: "hello" });
      expect(await fateOf(host.port, "1", 15_000)).toMatchObject({ state: "closed", errors: 0 });
      expect(await ask(host.port, "/notes/1")).toEqual(["cleaned up"]);
    });
  });

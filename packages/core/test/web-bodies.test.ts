import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawConnection, type Answer, type RequestInput } from "./support/http-clients.js";
import { ask, bundleHosts, fateOf, webHosts, type RunningHost } from "./support/web-hosts.js";
import type { Fate } from "./web-hosts/app.js";

// Bodies that pass through a scope in use, on every host that is installed: of another server, large ones, uploads, and
// one that is faster than its reader.

const text = "hello ".repeat(1_000);
const gone = { state: "closed", kind: "disconnected", status: 499, errors: 0 };

let upstream: Server;
let bundles: { readonly folder: string; readonly remove: () => void };
beforeAll(async () => {
  upstream = createServer((request, response) => {
    if (request.method === "POST") return void request.on("error", () => undefined).resume();
    const body = gzipSync(text);
    response.writeHead(200, { "content-encoding": "gzip", "content-length": body.length }).end(body);
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  bundles = await bundleHosts();
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
  bundles.remove();
});

for (const { name, label, start } of webHosts())
  describe.skipIf(start === undefined)(`rule 35: a body in a scope in use, on ${label}`, () => {
    let host: RunningHost;
    let count = 0;
    beforeAll(async () => {
      if (start !== undefined) host = await start("plain", bundles.folder);
    });
    afterAll(() => host.stop());

    const open = (path: string, input: RequestInput = {}) => {
      const id = String(++count);
      const connection = new RawConnection(host.port);
      const headers = {
        "x-upstream": `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`,
        "accept-encoding": "gzip",
      };
      const exchange = connection.request({ ...input, headers, path: `/${id}/${path}` });
      return { ...exchange, id, socket: connection.socket };
    };
    const get = async (path: string): Promise<Answer | undefined> => {
      const { answer, socket } = open(path);
      const given = await answer;
      socket.destroy();
      return given;
    };
    const fate = (id: string): Promise<Fate | undefined> => fateOf(host.port, id, 15_000);
    const isPrinted = async (part: string): Promise<boolean> =>
      JSON.stringify(await ask(host.port, "/errors")).includes(part) || host.output().includes(part);

    // The others pass on the header of the encoded body with the decoded one, with bough and without.
    it.skipIf(name !== "Deno" && name !== "workerd")(
      "a compressed response of another server arrives as it does without a scope",
      async () => {
        const [unused, used] = [await get("pass-on-unused"), await get("pass-on")];
        expect(used?.headers["content-encoding"]).toBe(unused?.headers["content-encoding"]);
        expect(used).toMatchObject({ status: 200, complete: true });
        expect(decoded(used)).toBe(text);
      },
    );

    it.each(["large-text", "large-bytes"])("%s keeps its length", async (path) => {
      const answer = await get(path);
      expect(answer).toMatchObject({ status: 200, complete: true, headers: { "content-length": "300000" } });
      expect(answer?.body.length).toBe(300_000);
    });

    it.each([
      { path: "form", type: /^multipart\/form-data; ?boundary=/ },
      { path: "parameters", type: /^application\/x-www-form-urlencoded;charset=utf-8$/i },
      { path: "blob", type: /^text\/x$/ },
    ])("the content type of the body stays: $path", async ({ path, type }) => {
      const answer = await get(path);
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer?.headers["content-type"]).toMatch(type);
    });

    // node-server adds a content type of its own, with bough and without.
    it.skipIf(name === "node-server").each([
      { path: "untyped", length: 5 },
      { path: "untyped-large", length: 300_000 },
      { path: "untyped-empty", length: 0 },
    ])("no content type is added to a body that is complete at once: $path", async ({ path, length }) => {
      const answer = await get(path);
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer?.body.length).toBe(length);
      expect(answer?.headers["content-type"]).toBeUndefined();
    });

    // workerd neither sends it nor ends the response.
    it.skipIf(name === "workerd")("a chunk that can't be sent is a failure, and no disconnect", async () => {
      const { id, answer } = open("number-chunk");
      expect((await answer)?.complete ?? false).toBe(false);
      expect(await fate(id)).toMatchObject({ state: "closed", kind: "failure" });
    });

    it.skipIf(name === "workerd").each(["read-parts", "echo", "send-on"])(
      "a client that disconnects during its upload is no failure: %s",
      async (path) => {
        const part = "a".repeat(50_000);
        const { id, socket } = open(path, { method: "POST", body: part, length: 100_000 });
        await expect.poll(() => ask(host.port, `/fates/${id}`), { timeout: 15_000 }).not.toBe(null);
        await new Promise((resolve) => setTimeout(resolve, 150)); // for the upload to be read, as in web-hosts.test.ts
        socket.destroy();
        expect(await fate(id)).toMatchObject(gone);
        expect(await isPrinted("underlying resource")).toBe(false);
      },
    );

    it("a slow reader slows the source down, which stops when the reader leaves", async () => {
      const { id, socket, started } = open("flood");
      await started;
      socket.pause();
      let megabytes = -1;
      for (let now = 0; now !== megabytes; await new Promise((resolve) => setTimeout(resolve, 300))) {
        megabytes = now;
        now = ((await ask(host.port, `/fates/${id}`)) as Fate).notes.length;
      }
      socket.destroy();
      const seen = await fate(id);
      expect(seen).toMatchObject(gone);
      expect(seen?.notes.at(-1)).toBe("cancel");
    });
  });

function decoded(answer: Answer | undefined): string | undefined {
  if (answer?.headers["content-encoding"] !== "gzip") return answer?.body;
  return gunzipSync(Buffer.from(answer.body, "latin1")).toString();
}

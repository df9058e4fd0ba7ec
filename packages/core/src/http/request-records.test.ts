import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Scope } from "../index.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { serve, type Handler } from "../../test/support/http-server.js";
import { latest } from "./request-records.js";
import { requestScope, serverScope } from "./index.js";

/** Sends one request to a server with a scope, and returns what the handler returned. */
async function handleOne<T>(handle: (...args: Parameters<Handler>) => T, method = "GET"): Promise<T[]> {
  const results: T[] = [];
  const bench = await serve("http/1.1", (request, response) => {
    results.push(handle(request, response));
    response.end();
  });
  serverScope(bench.server);
  await (
    await bench.request({ method, path: "/a?secret" })
  ).answer;
  return results;
}

describe("the scope of a request", () => {
  it("is the same for a proxy of the request and for the request", async () => {
    const [scopes] = await handleOne((request, response) => [
      requestScope(new Proxy(request, {}), response),
      requestScope(request, response),
    ]);
    expect(scopes?.[0]).toBe(scopes?.[1]);
  });

  it("is the same when the server emits the request again with a proxy of the response", async () => {
    const scopes = new Set<Scope>();
    let isAgain = false;
    const bench = await serve("http/1.1", (request, response) => {
      scopes.add(requestScope(request, response));
      if (isAgain) return;
      isAgain = true;
      bench.server.emit("request", request, new Proxy(response, {}));
      response.end();
    });
    serverScope(bench.server);
    await (
      await bench.request()
    ).answer;
    expect(scopes.size).toBe(1);
  });

  it("keeps its name when middleware overrides the method and the path of the request", async () => {
    const names = await handleOne((request, response) => {
      const scope = requestScope(request, response);
      Object.assign(request, { method: "PUT", url: "/b" });
      return scope.name;
    }, "POST");
    expect(names).toEqual(["POST /a"]);
  });
});

describe("the request that arrived last", () => {
  it.each([1, 2, 3])("is released with a connection that has sent %i pipelined requests", async (count) => {
    const bench = await serve("http/1.1", (request, response) =>
      setImmediate(() => response.end(request.url)),
    );
    serverScope(bench.server);
    const connection = new RawConnection(bench.port);
    onTestFinished(() => void connection.socket.destroy());
    const [socket] = (await once(bench.server, "connection")) as [Socket];
    const exchanges = Array.from({ length: count }, (_, index) => connection.request({ path: `/${index}` }));
    await Promise.all(exchanges.map(({ answer }) => answer));
    expect(latest.request?.socket).toBe(socket);
    const closed = once(socket, "close");
    connection.socket.destroy();
    await closed;
    expect(latest.request).toBeUndefined();
  });
});

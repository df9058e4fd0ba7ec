import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, it } from "vitest";
import { createScope } from "../index.js";
import { connectRemote } from "../remote/index.js";
import { withVirtualClock } from "../testing/index.js";
import { bullmqEngine } from "./index.js";

it("connectRemote rejects when nothing listens at the address of Redis", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const errors: unknown[] = [];
  const scope = createScope();
  await withVirtualClock(async () => {
    const engine = bullmqEngine({
      connection: `redis://127.0.0.1:${port}`,
      onError: (error) => errors.push(error),
    });
    await expect(connectRemote(scope, engine)).rejects.toThrow("the engine did not answer within 5000 ms");
  });
  await scope.close();
});

import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Listener } from "./listener.js";

it("a listener that is closed while it connects ends that connection", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connected = once(server, "connection");
  const listener = new Listener({ host: "127.0.0.1", port, user: "u", database: "d", ssl: false }, () => {});
  const listening = listener.listen("bough_x", () => {}).catch(() => {});
  const [socket] = (await connected) as [Socket];
  await once(socket, "data"); // the client says who it is
  await listener.close();
  const ended = once(socket, "end");
  socket.resume();
  socket.write(Buffer.from("520000000800000000" + "5a0000000549", "hex")); // AuthenticationOk, ReadyForQuery
  await ended;
  expect(socket.readableEnded).toBe(true);
  await listening;
  socket.destroy();
  server.close();
});

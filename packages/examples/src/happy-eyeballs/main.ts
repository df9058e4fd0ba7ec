// Prints what happens when the first address never answers, the second refuses, and the third accepts.

import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { withScope, type Scope } from "bough";
import { openBlackhole } from "./blackhole.js";
import { happyEyeballs } from "./happy-eyeballs.js";
import { Address, connectTcp } from "./tcp.js";

async function listen(scope: Scope): Promise<Address> {
  const server = createServer((socket) => socket.resume());
  scope.defer(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening", { signal: scope.signal });
  return new Address("127.0.0.1", (server.address() as AddressInfo).port);
}

/** A port without a listener: it was free a moment ago. */
function refusing(): Promise<Address> {
  return withScope(listen);
}

await withScope(async (scope) => {
  const addresses = [await openBlackhole(scope), await refusing(), await listen(scope)];
  const labels = new Map(addresses.map((address, index) => [address, ["silent", "refusing", "open"][index]]));
  const started = performance.now();
  const tell = (what: string): void => {
    console.log(`${(performance.now() - started).toFixed(0).padStart(5)} ms  ${what}`);
  };

  const connect = async (scope: Scope, address: Address): Promise<Socket> => {
    const name = `${address.toString()} (${labels.get(address)})`;
    tell(`${name}: connecting`);
    try {
      const socket = await connectTcp(scope, address);
      tell(`${name}: connected`);
      return socket;
    } catch (error) {
      tell(`${name}: ${scope.reason ? `cancelled (${scope.reason.kind}), socket closed` : String(error)}`);
      throw error;
    }
  };

  const socket = await happyEyeballs(scope, addresses, connect);
  tell(`the winner is port ${socket.remotePort}; no other attempt is left`);
  socket.destroy();
});

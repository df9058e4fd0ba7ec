import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { BSON } from "mongodb";

type Command = Record<string, unknown>;

/**
 * A server of MongoDB's wire protocol without data. It answers `hello`, and `answer` decides about other commands. npm has no
 * package of MongoDB itself. This server shows which commands the driver sends, and when it closes a connection.
 */
export async function startMongodb(
  answer: (command: Command, socket: Socket) => Command | undefined,
): Promise<AsyncDisposable & { readonly uri: string }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= received.readInt32LE(0)) {
        const message = received.subarray(0, received.readInt32LE(0));
        received = received.subarray(message.length);
        const reply = answerTo(message, (command) => answer(command, socket));
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    uri: `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/?directConnection=true`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const OP_QUERY = 2004;
const OP_MSG = 2013;

function answerTo(message: Buffer, answer: (command: Command) => Command | undefined): Buffer | undefined {
  const requestId = message.readInt32LE(4);
  const isQuery = message.readInt32LE(12) === OP_QUERY;
  // The name of a collection ends with a zero byte, and two numbers follow; a message has its flags and the kind of section.
  const begin = isQuery ? message.indexOf(0, 20) + 9 : 21;
  const command = BSON.deserialize(message.subarray(begin, begin + message.readInt32LE(begin)));
  const isHello = "hello" in command || "ismaster" in command || "isMaster" in command;
  const hello = {
    isWritablePrimary: true,
    ismaster: true,
    maxWireVersion: 25,
    minWireVersion: 0,
    readOnly: false,
  };
  const reply = isHello ? { ...hello, ok: 1 } : "endSessions" in command ? { ok: 1 } : answer(command);
  if (reply === undefined) return undefined;
  const body = BSON.serialize(reply);
  const head = isQuery ? queryHead() : Buffer.alloc(5);
  const header = Buffer.alloc(16);
  header.writeInt32LE(16 + head.length + body.length, 0);
  header.writeInt32LE(requestId, 8);
  header.writeInt32LE(isQuery ? 1 : OP_MSG, 12);
  return Buffer.concat([header, head, body]);
}

function queryHead(): Buffer {
  const head = Buffer.alloc(20);
  head.writeInt32LE(1, 16); // one document
  return head;
}

import { connect, type Socket } from "node:net";

const request = "GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

/** Sends `amount` requests over `connections` sockets that are kept alive, one at a time on each; resolves with the seconds. */
export async function load(port: number, connections: number, amount: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const began = performance.now();
  let left = amount;
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          const next = (): void => {
            if (left-- <= 0) {
              socket.end();
              return resolve();
            }
            socket.write(request);
          };
          // The answers are small enough to come in one piece.
          socket.on("data", (text) => {
            if (String(text).startsWith("HTTP/1.1 200 ")) next();
            else reject(new Error(`unexpected answer: ${String(text)}`));
          });
          socket.on("error", reject);
          next();
        }),
    ),
  );
  return (performance.now() - began) / 1000;
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
    socket.setEncoding("latin1");
    socket.setNoDelay(true);
  });
}

import { once } from "node:events";
import { connect, type Socket } from "node:net";

const request = "GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

/** Clients of one server, whose connections are kept from round to round. */
export class Load {
  readonly #sockets: readonly Socket[];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  static async open(port: number, connections: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: connections }, () => open(port))));
  }

  /**
   * Sends requests while `goesOn` returns true, one at a time on each connection. Resolves with the seconds it took.
   *
   * It never sleeps. A sleeping client is woken by the system call with which the server answers, in the server's time.
   * A slower server has more sleeping clients.
   */
  async run(goesOn: () => boolean): Promise<number> {
    let running = true;
    const poll = (): void => void (running && setImmediate(poll));
    poll();
    const began = performance.now();
    try {
      await Promise.all(this.#sockets.map((socket) => converse(socket, goesOn)));
    } finally {
      running = false;
    }
    return (performance.now() - began) / 1000;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function converse(socket: Socket, goesOn: () => boolean): Promise<void> {
  if (!goesOn()) return;
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error("the server has closed a connection"));
    // The answers are small enough to come in one piece.
    const answered = (text: string): void => {
      if (!text.startsWith("HTTP/1.1 200 ")) reject(new Error(`unexpected answer: ${text}`));
      else if (goesOn()) socket.write(request);
      else {
        socket.off("data", answered).off("error", reject).off("close", closed);
        resolve();
      }
    };
    socket.on("data", answered).on("error", reject).on("close", closed);
    if (socket.destroyed) return closed();
    socket.write(request);
  });
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.setEncoding("latin1");
  socket.setNoDelay(true);
  return socket;
}

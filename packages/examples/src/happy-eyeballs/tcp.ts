import { createConnection, type Socket } from "node:net";
import type { Scope } from "bough";

/** Where to connect to. */
export class Address {
  readonly host: string;
  readonly port: number;

  constructor(host: string, port: number) {
    this.host = host;
    this.port = port;
  }

  toString(): string {
    return `${this.host}:${this.port}`;
  }
}

/**
 * Opens a TCP connection.
 *
 * **Cancellation:** destroys the socket, and rejects with the reason once it is closed, not before: who waits
 * for the task knows that the socket is gone.
 */
export function connectTcp(scope: Scope, { host, port }: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port });
    let failure: unknown;
    const stop = scope.onCancel((reason) => socket.destroy(reason));
    const remember = (error: unknown): void => void (failure = error);
    const fail = (): void => {
      stop();
      reject(failure);
    };
    socket.once("error", remember).once("close", fail);
    socket.once("connect", () => {
      stop();
      socket.off("error", remember).off("close", fail);
      resolve(socket);
    });
  });
}

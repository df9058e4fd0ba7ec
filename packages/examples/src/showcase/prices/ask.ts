import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

/** A shop answered, but with an error. */
export class ShopError extends Error {
  static {
    this.prototype.name = "ShopError";
  }
}

/**
 * Asks one shop for its price.
 *
 * **Cancellation:** the socket is destroyed when `signal` aborts, also in the middle of the body; rejects with an
 * error that tells bough of the cancellation.
 *
 * (`fetch(url, { signal })` would be shorter. It destroys the socket too, but then opens another one that nobody
 * uses, nodejs/undici#5845, and here sockets are counted.)
 *
 * @throws {ShopError} If the shop answers with an error.
 */
export async function ask(shop: string, url: string, signal: AbortSignal): Promise<number> {
  try {
    const request = get(url, { agent: false, signal });
    request.on("error", () => {}); // once there is a response, it is what tells of errors
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = await text(response);
    if (response.statusCode !== 200) throw new ShopError(`the ${shop} shop says ${response.statusCode}`);
    return (JSON.parse(body) as { price: number }).price;
  } catch (error) {
    signal.throwIfAborted(); // node:http reports an abort within a body as ECONNRESET
    throw error;
  }
}

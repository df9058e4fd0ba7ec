import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The response to a refused request. The browser shows the text. */
export interface Refusal {
  readonly status: 401 | 403 | 405;
  readonly text: string;
}

const loopback = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Decides which requests are answered. Any page in a browser on this machine can send requests to a local server. The
 * guard refuses them by their headers:
 *
 * - `Host`: the name of another domain that resolves to 127.0.0.1 (DNS rebinding)
 * - `Origin`, `Sec-Fetch-Site`: a script or a frame of another page
 * - the token: another program, or another user of the machine. The socket of `listen()` is protected by its file mode
 *   instead.
 */
export class Guard {
  readonly token: string;
  readonly #digest: Buffer;
  readonly #hosts: ReadonlySet<string>;
  /** Cookies ignore ports, so each process needs its own name. */
  readonly #cookie: string;

  constructor(token: string | undefined, hosts: readonly string[] = []) {
    this.token = token ?? randomBytes(24).toString("base64url");
    this.#digest = digest(this.token);
    this.#hosts = new Set([...loopback, ...hosts].map((host) => host.toLowerCase()));
    this.#cookie = `bough_${this.#digest.toString("hex").slice(0, 12)}`;
  }

  /**
   * The `Set-Cookie` header for a browser that has sent the token. It has no `Path`, so that only the page receives the
   * cookie.
   */
  get cookie(): string {
    return `${this.#cookie}=${this.token}; HttpOnly; SameSite=Strict`;
  }

  /**
   * @param given - The token in the address, if it has one.
   * @param isPrivate - Whether only the user of the process can have sent the request.
   */
  refuse(request: IncomingMessage, given: string | null, isPrivate: boolean): Refusal | undefined {
    const { method, headers } = request;
    if (method !== "GET" && method !== "HEAD") return { status: 405, text: "This page can only be read." };
    const host = headers.host ?? headers[":authority"];
    if (typeof host !== "string" || !this.#hosts.has(nameOf(host)))
      return {
        status: 403,
        text: 'This page is not served under this host name. Use 127.0.0.1, or add the name to the option "hosts".',
      };
    const { origin } = headers;
    if (origin !== undefined && origin.replace(/^https?:\/\//, "").toLowerCase() !== host.toLowerCase())
      return { status: 403, text: "This page does not answer to other origins." };
    if (isForeign(request)) return { status: 403, text: "This page does not answer to other sites." };
    if (!isPrivate && !this.#isKnown(request, given))
      return {
        status: 401,
        text: "The token is missing or wrong. Open the address that was printed, with its token.",
      };
    return undefined;
  }

  #isKnown(request: IncomingMessage, given: string | null): boolean {
    const [, bearer] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "") ?? [];
    const cookies = (request.headers.cookie ?? "").split(/; */);
    const prefix = `${this.#cookie}=`;
    const kept = cookies.find((cookie) => cookie.startsWith(prefix))?.slice(prefix.length);
    return [given, bearer, kept].some((token) => typeof token === "string" && this.#isToken(token));
  }

  #isToken(token: string): boolean {
    return timingSafeEqual(digest(token), this.#digest);
  }
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** The host name, without the port. */
const nameOf = (host: string): string => host.toLowerCase().replace(/:\d+$/, "");

/**
 * Whether another site has caused the request. Links on other sites are accepted, since a site can't read the page that
 * a link opens.
 */
function isForeign({ headers }: IncomingMessage): boolean {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return false;
  return headers["sec-fetch-mode"] !== "navigate" || headers["sec-fetch-dest"] !== "document";
}

import { optionNames } from "../errors/option-names.js";
import { checkLimit, checkOptionsObject, checkType, outOfRange, wrongType } from "../errors/validate.js";
import type { Scope } from "../kernel/scope.js";

/** The options of {@link servePage}. */
export interface PageOptions {
  /**
   * The secret that a client must send, except on the unix socket of `listen()`. At least 16 letters and digits, `-`
   * or `_`. Default: 32 random ones.
   */
  readonly token?: string;
  /**
   * Host names that a browser may use for the page, without a port, such as `admin.example.com`. `localhost`,
   * `127.0.0.1` and `[::1]` are always accepted. Default: none.
   */
  readonly hosts?: readonly string[];
  /** The time between two looks at the tree while a page is open, in milliseconds, at least 100. Default: 1000. */
  readonly interval?: number;
  /** How many pages may be open at the same time. Default: 4. */
  readonly clients?: number;
  /** Whether to show the messages and causes of cancellations, which may contain data. Default: `false`. */
  readonly causes?: boolean;
  /** The title of the page. Default: the id of the process. */
  readonly title?: string;
}

/** The options of {@link inspector}. */
export interface InspectorOptions extends PageOptions {
  /** The root of the tree to show. The page does not keep it alive. Default: the whole process. */
  readonly scope?: Scope;
  /** Allows the page while `NODE_ENV` is `production`. Default: `false`. */
  readonly production?: boolean;
}

const pageNames = {
  token: true,
  hosts: true,
  interval: true,
  clients: true,
  causes: true,
  title: true,
} as const;
const pageOptionNames = optionNames<PageOptions>(pageNames);
const inspectorOptionNames = optionNames<InspectorOptions>({ ...pageNames, scope: true, production: true });

/** Throws an error that names the wrong option. */
export function checkPageOptions(operation: "inspector" | "servePage", options: PageOptions): void {
  const names = operation === "inspector" ? inspectorOptionNames : pageOptionNames;
  checkOptionsObject(operation, options, names, "{ interval: 1000 }");
  const { token, hosts, interval, clients, causes, title } = options;
  checkType(operation, "token", "string", token);
  // The token is not quoted, since messages of errors are logged.
  if (token !== undefined && !/^[\w-]{16,}$/.test(token))
    throw new RangeError(
      `${operation}: token must have at least 16 characters, and only letters, digits, "-" and "_"`,
    );
  checkHosts(operation, hosts);
  checkType(operation, "interval", "number", interval);
  if (interval !== undefined && !(interval >= 100 && interval <= 2 ** 31 - 1))
    throw outOfRange(operation, "interval must be a number of ms from 100 to 2147483647", interval);
  checkLimit(operation, "clients", clients, 1);
  checkType(operation, "causes", "boolean", causes);
  checkType(operation, "title", "string", title);
}

function checkHosts(operation: string, hosts: unknown): void {
  if (hosts === undefined) return;
  if (!Array.isArray(hosts)) throw wrongType(operation, "hosts must be an array of names", hosts);
  for (const host of hosts as unknown[]) {
    if (typeof host !== "string") throw wrongType(operation, "hosts must contain only strings", host);
    if (!/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(host))
      throw outOfRange(operation, "hosts must contain only names without a scheme, port or path", host);
  }
}

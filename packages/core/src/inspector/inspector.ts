import { BoughError } from "../errors/bough-error.js";
import { checkType } from "../errors/validate.js";
import { nodeOf } from "../task/node-of.js";
import { LocalSource } from "./local-source.js";
import { checkPageOptions, type InspectorOptions } from "./options.js";
import { createPage, type Inspector } from "./serve.js";

/**
 * Creates a page that shows the tree of scopes of this process, what each scope waits for, and why it was cancelled.
 *
 * The page is read-only. It shows names, lines and states, never values. It costs nothing until it is opened. Then it
 * walks the tree once a second, in slices. It keeps no scope, server or process alive.
 *
 * Requests from another site or for another host name are refused. Requests need the token, except on the unix socket
 * of `listen()`.
 *
 * @param options - The part of the tree to show, and the access to the page.
 * @returns The page. `listen()` serves it on its own address; `handler` can be mounted in a server.
 * @throws {BoughError} `BOUGH_INSPECTOR_PRODUCTION` while `NODE_ENV` is `production`, unless the option `production` is
 * `true`.
 * @throws {TypeError | RangeError} If an option is wrong.
 * @example On a unix socket, for the user of this process only
 * ```ts no-run
 * const page = inspector();
 * console.log(await page.listen()); // /tmp/bough-4711.sock
 * ```
 * @example In a server that exists
 * ```ts no-run
 * import { createServer } from "node:http";
 * import { inspector } from "bough/inspector";
 *
 * const page = inspector({ hosts: ["admin.example.com"] });
 * createServer((request, response) => {
 *   if (request.url?.startsWith("/bough/")) page.handler(request, response);
 *   else response.end("Hello");
 * }).listen(3000);
 * console.log(`http://127.0.0.1:3000/bough/?token=${page.token}`);
 * ```
 */
export function inspector(options: InspectorOptions = {}): Inspector {
  checkPageOptions("inspector", options);
  const { scope, production } = options;
  checkType("inspector", "production", "boolean", production);
  if (scope !== undefined) nodeOf("inspector", "scope", scope);
  if (process.env["NODE_ENV"] === "production" && production !== true)
    throw new BoughError(
      "BOUGH_INSPECTOR_PRODUCTION",
      "inspector: does not start while NODE_ENV is production, since it shows the internals of the process. " +
        "To start it anyway, pass { production: true }.",
    );
  return createPage(new LocalSource(scope), options);
}

import { once } from "node:events";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Point, Row } from "./support/mixed-log.js";
import { nothing, reportMixed, sendMixed, TOTAL, type MixedHost } from "./support/mixed-requests.js";
import { ask, bundleHosts, webHosts, type HostName, type RunningHost } from "./support/web-hosts.js";

// Mixed requests to Hono on each runtime, in a process of its own: see support/mixed-requests.ts. `npm run test:mixed` sends ten
// thousand to each that is installed.

let bundles: { readonly folder: string; readonly remove: () => void };
beforeAll(async () => void (bundles = await bundleHosts()));
afterAll(() => bundles.remove());

const hosts = webHosts().filter(({ name }) => name !== "workerd");

for (const { name, label, start } of hosts)
  describe.skipIf(start === undefined)(`mixed requests to Hono on ${label}`, () => {
    async function open(): Promise<MixedHost> {
      const host = await (start as NonNullable<typeof start>)("mixed", bundles.folder);
      const points = await Points.of(host.port);
      onTestFinished(async () => {
        points.stop();
        await host.stop();
      });
      return mixedHost(name, host, points);
    }

    it(
      "rule 35: cancels the requests of disconnected clients, and no others",
      { timeout: 300_000 },
      async () => {
        const began = performance.now();
        const host = await open();
        expect(await sendMixed(host, TOTAL)).toEqual(nothing);
        reportMixed(`Hono on ${label}`, await host.rows(), performance.now() - began);
      },
    );

    it("finds planted faults", async () => {
      const { wrong, left, errors } = await sendMixed(await open(), 0, true);
      expect(wrong.map(String).toSorted()).toEqual([
        expect.stringMatching(/^plant-false,disconnected,/),
        expect.stringMatching(/^plant-missed,,open,/),
      ]);
      expect(left.toSorted()).toEqual(["server/leftover", "server/planted"]);
      expect(errors).toContainEqual(expect.stringMatching(/^planted AbortError: .*\(disconnected\)$/));
    });
  });

function mixedHost(name: HostName, host: RunningHost, points: Points): MixedHost {
  const { port } = host;
  return {
    port,
    pipelines: name !== "Bun",
    reached: (id, point) => points.reached(id, point),
    release: (id) => ask(port, `/control/release/${id}`),
    rows: async () => (await ask(port, "/control/rows")) as Row[],
    left: async () => (await ask(port, "/control/left")) as string[],
    errors: async () => {
      const printed = host
        .output()
        .split("\n")
        .filter((line) => line !== "" && !isNotice(line));
      return [...((await ask(port, "/control/errors")) as string[]), ...printed];
    },
  };
}

/** The output of the hosts themselves. */
function isNotice(line: string): boolean {
  return /^listening |^Listening on |^Deno\.serve: request\.signal aborts on successful responses/.test(line);
}

/** The points that requests have reached, as the server says. */
class Points {
  readonly #reached = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  readonly #request: http.ClientRequest;
  #text = "";

  private constructor(request: http.ClientRequest) {
    this.#request = request;
  }

  static async of(port: number): Promise<Points> {
    const request = http.get({ host: "127.0.0.1", port, path: "/control/points", agent: false });
    request.on("error", () => undefined);
    const points = new Points(request);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.setEncoding("utf8").on("error", () => undefined);
    response.on("data", (text: string) => points.#add(text));
    return points;
  }

  #add(text: string): void {
    const lines = `${this.#text}${text}`.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      this.#reached.add(line);
      this.#waiting.get(line)?.();
    }
  }

  async reached(id: string, point: Point): Promise<void> {
    const line = `${id} ${point}`;
    if (!this.#reached.has(line)) await new Promise<void>((resolve) => this.#waiting.set(line, resolve));
  }

  stop(): void {
    this.#request.destroy();
  }
}

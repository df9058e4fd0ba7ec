import http from "node:http";
import { onTestFinished } from "vitest";
import { inspector, type Inspector, type InspectorOptions } from "../../src/inspector/index.js";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A page on a free port; it ends with the test. */
export async function openPage(
  options: InspectorOptions = {},
): Promise<{ page: Inspector; port: number; address: string }> {
  const page = inspector(options);
  onTestFinished(() => page.close());
  const address = await page.listen({ port: 0 });
  return { page, port: Number(new URL(address).port), address };
}

/** Sends one request with headers of which a `fetch` would refuse some. */
export function request(options: http.RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: "127.0.0.1", ...options, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** A stream of events that is being read. */
export interface OpenEvents {
  readonly response: http.IncomingMessage;
  /** The next frame. */
  next(): Promise<Record<string, unknown>>;
  close(): void;
}

export function openEvents(port: number, token: string): Promise<OpenEvents> {
  return new Promise((resolve, reject) => {
    const sent = http.get(
      { host: "127.0.0.1", port, path: `/events?token=${token}`, agent: false },
      (response) => {
        let text = "";
        const frames: Record<string, unknown>[] = [];
        let waiting: ((frame: Record<string, unknown>) => void) | undefined;
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
          const events = text.split("\n\n");
          text = events.pop() ?? "";
          for (const event of events) {
            const [, data] = /^data: (.*)$/.exec(event) ?? [];
            if (data === undefined) continue;
            const frame = JSON.parse(data) as Record<string, unknown>;
            if (waiting === undefined) frames.push(frame);
            else waiting(frame);
            waiting = undefined;
          }
        });
        response.on("error", () => {});
        resolve({
          response,
          next: () =>
            new Promise((done) => {
              const frame = frames.shift();
              if (frame === undefined) waiting = done;
              else done(frame);
            }),
          close: () => response.destroy(),
        });
      },
    );
    sent.on("error", reject);
    onTestFinished(() => void sent.destroy());
  });
}

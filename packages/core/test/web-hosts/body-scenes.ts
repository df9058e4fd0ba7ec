import type { Scope } from "../../src/index.js";

// Scenes of test/web-bodies.test.ts: bodies that another server, the upload or memory provides, in a scope that is in use.

const encoder = new TextEncoder();

type BodyScene = (
  request: Request,
  scope: Scope,
  note: (text: string) => void,
) => Response | Promise<Response>;

/** The server whose responses a handler passes on. */
const upstreamOf = (request: Request): string => request.headers.get("x-upstream") ?? "";

function completeStream(text: string): ReadableStream {
  return new ReadableStream({
    start(controller) {
      if (text !== "") controller.enqueue(encoder.encode(text));
      controller.close();
    },
  });
}

export const bodyScenes: Readonly<Record<string, BodyScene>> = {
  "pass-on": (request, scope) => {
    void scope.signal;
    return fetch(upstreamOf(request), { signal: scope.signal });
  },
  "pass-on-unused": (request) => fetch(upstreamOf(request)),
  "large-text": (_request, scope) => {
    void scope.signal;
    return new Response("a".repeat(300_000));
  },
  "large-bytes": (_request, scope) => {
    void scope.signal;
    return new Response(new Uint8Array(300_000).fill(97));
  },
  form: (_request, scope) => {
    void scope.signal;
    const form = new FormData();
    form.set("a", "b");
    return new Response(form);
  },
  parameters: (_request, scope) => {
    void scope.signal;
    return new Response(new URLSearchParams({ a: "b" }));
  },
  blob: (_request, scope) => {
    void scope.signal;
    return new Response(new Blob(["hello"], { type: "text/x" }));
  },
  "number-chunk": (_request, scope) => {
    void scope.signal;
    const pull = async (controller: ReadableStreamDefaultController<unknown>): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      controller.enqueue(7);
    };
    return new Response(new ReadableStream({ pull }) as never);
  },
  // Complete at once, and without a content type.
  untyped: (_request, scope) => {
    void scope.signal;
    return new Response(completeStream("hello"));
  },
  "untyped-large": (_request, scope) => {
    void scope.signal;
    return new Response(completeStream("a".repeat(300_000)));
  },
  "untyped-empty": (_request, scope) => {
    void scope.signal;
    return new Response(completeStream(""));
  },
  // Each part of an upload is read on its own.
  "read-parts": async (request, scope) => {
    void scope.signal;
    const reader = (request.body as ReadableStream<Uint8Array>).getReader();
    let length = 0;
    for (let read = await reader.read(); !read.done; read = await reader.read()) length += read.value.length;
    return new Response(String(length));
  },
  echo: (request, scope) => {
    void scope.signal;
    return new Response((request.body as ReadableStream<Uint8Array>).pipeThrough(new TransformStream()));
  },
  // An upload that is sent on to another server.
  "send-on": (request, scope) =>
    fetch(upstreamOf(request), {
      method: "POST",
      body: request.body,
      duplex: "half",
      signal: scope.signal,
    }),
  // Without an end: notes how far it has come, at every megabyte.
  flood: (_request, scope, note) => {
    void scope.signal;
    const part = encoder.encode("a".repeat(65_536));
    let parts = 0;
    return new Response(
      new ReadableStream(
        {
          pull(controller) {
            if (parts++ % 16 === 0) note("a megabyte");
            controller.enqueue(part.slice());
          },
          cancel: () => note("cancel"),
        },
        { highWaterMark: 0 },
      ),
    );
  },
};

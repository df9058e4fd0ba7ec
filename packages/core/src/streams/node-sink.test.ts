import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { rejection } from "../../test/support/deferred.js";
import { NodeSink } from "./node-sink.js";

describe("NodeSink", () => {
  it("rejects its end with the error of the stream when it closes", async () => {
    const error = new Error("close");
    const stream = new Writable({
      write: (_, __, callback) => callback(),
      destroy: (_, callback) => void setImmediate(() => callback(error)),
    });
    const sink = new NodeSink(stream);
    sink.failed.catch(() => undefined);
    await sink.write("a");
    expect(await rejection(sink.end())).toBe(error);
    sink.release();
  });
});

import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { background } from "../index.js";
import { flush } from "../../test/support/deferred.js";
import { NodeCursor } from "./node-cursor.js";

describe("NodeCursor", () => {
  it("settles a next() that is pending when it is closed", async () => {
    const cursor = new NodeCursor(new PassThrough(), background);
    const next = cursor.next();
    await flush();
    await cursor.return();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

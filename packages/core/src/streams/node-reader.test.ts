import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { background } from "../index.js";
import { flush } from "../../test/support/deferred.js";
import { NodeReader } from "./node-reader.js";

describe("NodeReader", () => {
  it("settles a next() that is pending when it is closed", async () => {
    const reader = new NodeReader(new PassThrough(), background);
    const next = reader.next();
    await flush();
    await reader.return();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

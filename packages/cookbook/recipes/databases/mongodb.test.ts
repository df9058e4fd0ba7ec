import { createScope, withScope } from "bough";
import { BSON, MongoClient } from "mongodb";
import { expect, it } from "vitest";
import { eventually } from "../../support/eventually.js";
import { startMongodb } from "../../support/mongodb.js";
import { within } from "./mongodb.js";

it("a query to MongoDB gets the time that is left, and returns its documents", async () => {
  let asked: Record<string, unknown> = {};
  await using server = await startMongodb((command) => {
    asked = command;
    return { ok: 1, cursor: { id: BSON.Long.ZERO, ns: "test.users", firstBatch: [{ name: "Ada" }] } };
  });
  const client = new MongoClient(server.uri);
  const users = client.db("test").collection("users");
  const found = await withScope({ timeout: 5_000 }, (scope) => users.find({}, within(scope)).toArray());
  expect(found).toEqual([{ name: "Ada" }]);
  expect(asked).toMatchObject({ find: "users" });
  expect(asked["maxTimeMS"]).toBeGreaterThan(1_000);
  expect(asked["maxTimeMS"]).toBeLessThanOrEqual(5_000);
  await withScope((scope) => users.find({}, within(scope)).toArray());
  expect(asked).not.toHaveProperty("maxTimeMS");
  await client.close();
});

it("a query to MongoDB is aborted when its scope is cancelled: the server sees the connection close", async () => {
  let isAsked = false;
  let isClosed = false;
  await using server = await startMongodb((_, socket) => {
    isAsked = true;
    socket.on("close", () => (isClosed = true));
    return undefined; // it takes long
  });
  const client = new MongoClient(server.uri);
  const scope = createScope();
  const found = client.db("test").collection("users").find({}, within(scope)).toArray();
  found.catch(() => {});
  await eventually(() => expect(isAsked).toBe(true));
  scope.cancel();
  await expect(found).rejects.toBe(scope.reason);
  await eventually(() => expect(isClosed).toBe(true));
  await scope.close();
  await client.close();
});

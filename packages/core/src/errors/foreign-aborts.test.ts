import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { consistsOf, isForeignAbort } from "./foreign-aborts.js";

const errorWith = (properties: object, message = "aborted"): Error =>
  Object.assign(new Error(message), properties);

class APIUserAbortError extends Error {
  status = undefined;
}
class SpecialAbortError extends APIUserAbortError {}
class GaxiosError extends Error {}
class AbortError extends Error {}
class RequestAbortedError extends Error {}

const abortError = new DOMException("aborted", "AbortError");

describe("isForeignAbort()", () => {
  it.each<[string, unknown]>([
    ["the platform", abortError],
    ["Node.js", errorWith({ code: "ABORT_ERR" })],
    ["axios", errorWith({ name: "CanceledError", code: "ERR_CANCELED" })],
    ["axios, by its code alone", errorWith({ code: "ERR_CANCELED" })],
    ["axios before 0.22, which is no Error", { message: "canceled", __CANCEL__: true }],
    ["OpenAI", new APIUserAbortError("Request was aborted.")],
    ["a class that is derived from OpenAI's", new SpecialAbortError("Request was aborted.")],
    ["Anthropic", errorWith({ name: "APIUserAbortError" })],
    [
      "OpenAI in a minified bundle",
      errorWith({ status: undefined, headers: undefined }, "Request was aborted."),
    ],
    ["got", errorWith({ code: "ERR_ABORTED" })],
    ["undici", errorWith({ code: "UND_ERR_ABORTED" })],
    ["superagent", errorWith({ code: "ABORTED" }, "Aborted")],
    [
      "superagent before it has begun",
      new Error("The request has been aborted even before .end() was called"),
    ],
    ["a response of node:http", errorWith({ code: "ECONNRESET" })],
    ["node-redis, whose name is Error", new AbortError("The command was aborted")],
    ["Elasticsearch", errorWith({ name: "RequestAbortedError" })],
    ["OpenSearch, by its class", new RequestAbortedError("Request aborted")],
    ["SQL Server", errorWith({ code: "ECANCEL" }, "Canceled.")],
    ["Oracle", errorWith({ code: "ORA-01013" })],
    ["SQLite", errorWith({ code: "SQLITE_INTERRUPT" })],
    ["a resolver of node:dns", errorWith({ code: "ECANCELLED" })],
    ["gaxios 7", new GaxiosError("aborted", { cause: abortError })],
    ["gaxios by its code", errorWith({ code: "AbortError", cause: abortError })],
    ["gaxios 6", Object.assign(new GaxiosError("aborted"), { error: abortError })],
    ["grpc-js", errorWith({ code: 1, details: "Cancelled on client", metadata: {} })],
    ["Connect", errorWith({ code: 1, details: [], metadata: new Headers() })],
    ["PostgreSQL", errorWith({ code: "57014" })],
    ["MySQL", errorWith({ code: "ER_QUERY_INTERRUPTED", errno: 1317 })],
    ["MySQL, by its number", errorWith({ errno: 1317 })],
    ["another realm", runInNewContext(`Object.assign(new Error("aborted"), { code: "ABORT_ERR" })`)],
  ])("rule 12: knows the abort of %s", (_, error) => {
    expect(isForeignAbort(error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ["a plain error", new Error("aborted")],
    ["a primitive", "AbortError"],
    ["nothing", undefined],
    ["a timeout of the caller's own", new DOMException("late", "TimeoutError")],
    ["a TimeoutError with the code of an abort", errorWith({ name: "TimeoutError", code: "ABORT_ERR" })],
    ["a TypeError with the code of an abort", Object.assign(new TypeError("no"), { code: "ERR_CANCELED" })],
    [
      "a TypeError of another realm",
      runInNewContext(`Object.assign(new TypeError("no"), { code: "ABORT_ERR" })`),
    ],
    [
      "fetch that cannot connect",
      new TypeError("fetch failed", { cause: errorWith({ code: "ECONNREFUSED" }) }),
    ],
    ["an exit code", errorWith({ code: 1 })],
    ["an exit code with an output", errorWith({ code: 1, details: "no such file", stderr: "" })],
    ["another status of gRPC", errorWith({ code: 4, details: "Deadline exceeded", metadata: {} })],
    ["a transaction that has lost", errorWith({ code: "ABORTED" }, "transaction conflict")],
    ["a wrapped abort", new Error("upload failed", { cause: abortError })],
    ["a GaxiosError with a status", new GaxiosError("404", { cause: new Error("not found") })],
    ["an API error of OpenAI", errorWith({ status: 500, headers: new Headers() }, "Request was aborted.")],
    ["a connection that was reset", errorWith({ code: "ECONNRESET" }, "read ECONNRESET")],
    ["a lost connection of PostgreSQL", errorWith({ code: "57P01" })],
    ["a lock timeout of MySQL", errorWith({ code: "ER_LOCK_WAIT_TIMEOUT", errno: 1205 })],
  ])("rule 12: does not take %s for one", (_, error) => {
    expect(isForeignAbort(error)).toBe(false);
  });

  it("never throws, for any error", () => {
    const fail = (): never => {
      throw new Error("trap");
    };
    const { proxy: revoked, revoke } = Proxy.revocable(new Error("revoked"), {});
    revoke();
    const hostile = [
      new Proxy({}, { get: fail }),
      new Proxy({}, { getPrototypeOf: fail, getOwnPropertyDescriptor: fail, has: fail }),
      revoked,
      Object.defineProperty(new Error("getter"), "code", { get: fail }),
      Object.create({ constructor: new Proxy(class {}, { get: fail }) }),
      Object.create(null),
    ];
    for (const error of hostile) {
      expect(isForeignAbort(error)).toBe(false);
      expect(consistsOf(error, () => true)).toBe(false);
    }
  });

  it("ends for an endless chain of prototypes", () => {
    const endless: object = new Proxy({}, { getPrototypeOf: () => endless });
    expect(isForeignAbort(endless)).toBe(false);
  });
});

describe("consistsOf()", () => {
  const isAbort = (error: unknown): boolean => error === abortError;
  const all = (...errors: unknown[]): AggregateError => new AggregateError(errors);
  const both = (error: unknown, suppressed: unknown): Error =>
    errorWith({ name: "SuppressedError", error, suppressed });

  it("rule 12: is true for an aggregate that consists only of such errors, at any depth", () => {
    expect(consistsOf(all(abortError, abortError), isAbort)).toBe(true);
    expect(consistsOf(both(abortError, abortError), isAbort)).toBe(true);
    expect(consistsOf(all(both(abortError, all(abortError)), abortError), isAbort)).toBe(true);
    const foreign = runInNewContext("(error) => new AggregateError([error])") as (error: unknown) => unknown;
    expect(consistsOf(foreign(abortError), isAbort)).toBe(true);
    let deep: unknown = abortError;
    for (let depth = 0; depth < 500; depth++) deep = all(deep);
    expect(consistsOf(deep, isAbort)).toBe(true);
  });

  it("rule 12: is false as soon as there is one other, or none at all", () => {
    expect(consistsOf(all(abortError, new Error("real")), isAbort)).toBe(false);
    expect(consistsOf(both(new Error("real"), abortError), isAbort)).toBe(false);
    expect(consistsOf(both(abortError, new Error("real")), isAbort)).toBe(false);
    expect(consistsOf(all(abortError, undefined), isAbort)).toBe(false);
    expect(consistsOf(all(), isAbort)).toBe(false);
    expect(consistsOf(all(abortError, all()), isAbort)).toBe(false);
    expect(consistsOf(errorWith({ errors: [abortError] }), isAbort)).toBe(false);
    expect(consistsOf(abortError, isAbort)).toBe(false);
  });

  it("ends for an error that contains itself, and finds the others", () => {
    const circular = all(abortError);
    circular.errors.push(circular);
    expect(consistsOf(circular, isAbort)).toBe(true);
    const nothingElse = all();
    nothingElse.errors.push(nothingElse);
    expect(consistsOf(nothingElse, isAbort)).toBe(false);
  });

  it("stops at a chain that never ends, or is too wide", () => {
    const endless = (): object =>
      new Proxy(new AggregateError([]), {
        get: (target, key) => (key === "errors" ? [endless()] : (Reflect.get(target, key) as unknown)),
      });
    expect(consistsOf(endless(), isAbort)).toBe(false);
    expect(consistsOf(all(...Array.from({ length: 10_000 }, () => abortError)), isAbort)).toBe(true);
    expect(consistsOf(errorWith({ name: "AggregateError", errors: { length: Infinity } }), isAbort)).toBe(
      false,
    );
    const sparse: unknown[] = [];
    sparse.length = 2 ** 32 - 1;
    expect(consistsOf(all(), isAbort)).toBe(false);
    expect(consistsOf(errorWith({ name: "AggregateError", errors: sparse }), isAbort)).toBe(false);
  });
});

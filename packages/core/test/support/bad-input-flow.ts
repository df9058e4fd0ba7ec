import * as bough from "../../src/index.js";
import type { MapOptions } from "../../src/flow/combinators/map.js";
import {
  eachOption,
  noBoolean,
  noDuration,
  noFunction,
  noInstant,
  noLimit,
  noNumber,
  noOptions,
  noScope,
  noString,
  outOfRange,
  taskOptions,
  wrongType,
  type Argument,
  type Fixture,
  type Kind,
  type Row,
} from "./bad-values.js";

// The rows of bad input for the functions that work with time, groups and resources.

const given = (kind: Kind): Kind => kind.filter(({ value }) => value !== undefined);
const noCount = (least: number): Kind => [...noNumber, ...outOfRange(least - 1, 1.5, NaN, -Infinity)];
const noWorkers = wrongType(undefined, null, "text", 1, {}, () => 1, Promise.resolve());
const noItems = wrongType(undefined, null, 1, true, {}, Symbol("s"), Promise.resolve([]));
const noChannel = wrongType(undefined, null, "text", 1, {}, [], () => 1);
const noHandle = wrongType(undefined, null, "text", 1, {}, [], () => 1, Promise.resolve());

/** A first argument that has to be a scope. */
function scopeOf(operation: string, call: (scope: bough.Scope, fixture: Fixture) => unknown): Argument {
  return {
    called: `${operation}: scope`,
    kind: noScope,
    isScope: true,
    call: (value, fixture) => call(value, fixture),
  };
}

type Combinator = (
  scope: bough.Scope,
  workers: readonly (() => void)[],
  options?: bough.CombinatorOptions,
) => Promise<unknown>;

const combinatorOptions = { name: noString, timeout: noDuration } satisfies Record<
  keyof bough.CombinatorOptions,
  Kind
>;

/** Of a combinator over an array of workers. */
function combinator(operation: string, combine: Combinator): Row {
  return {
    by: "rejection",
    bad: [
      scopeOf(operation, (scope, { worker }) => combine(scope, [worker])),
      {
        called: `${operation}: workers`,
        kind: noWorkers,
        call: (value, { scope }) => combine(scope, value),
      },
      {
        called: `${operation}: workers[1]`,
        kind: noFunction,
        call: (value, { scope, worker }) => combine(scope, [worker, value]),
      },
      {
        called: `${operation}: options`,
        kind: noOptions,
        call: (value, { scope, worker }) => combine(scope, [worker], value),
      },
      ...eachOption<bough.CombinatorOptions>(operation, combinatorOptions, (options, { scope, worker }) =>
        combine(scope, [worker], options),
      ),
    ],
  };
}

const backoff = {
  minDelay: noDuration,
  maxDelay: noDuration,
  factor: [...noNumber, ...outOfRange(0, 0.5, -1, NaN)],
  jitter: noBoolean,
};

const retryOptions = {
  ...combinatorOptions,
  ...backoff,
  attempts: noCount(1),
  attemptTimeout: noDuration,
  retryIf: given(noFunction),
  delay: given(noFunction),
  onRetry: given(noFunction),
} satisfies Record<keyof bough.RetryOptions, Kind>;

const superviseOptions = {
  ...combinatorOptions,
  daemon: noBoolean,
  minDelay: noDuration,
  maxDelay: noDuration,
  maxRestarts: noCount(0),
  window: noDuration,
  onRestart: given(noFunction),
} satisfies Record<keyof bough.SuperviseOptions, Kind>;

export const flowRows: Record<string, Row> = {
  all: combinator("all", bough.all),
  allSettled: combinator("allSettled", bough.allSettled),
  any: combinator("any", bough.any),
  race: combinator("race", bough.race),

  map: {
    by: "rejection",
    bad: [
      scopeOf("map", (scope, { worker }) => bough.map(scope, [1], worker)),
      {
        called: "map: items",
        kind: noItems,
        call: (value, { scope, worker }) => bough.map(scope, value, worker),
      },
      { called: "map: worker", kind: noFunction, call: (value, { scope }) => bough.map(scope, [1], value) },
      {
        called: "map: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.map(scope, [1], worker, value),
      },
      ...eachOption<MapOptions>(
        "map",
        { ...combinatorOptions, concurrency: noLimit },
        (options, { scope, worker }) => bough.map(scope, [1], worker, options),
      ),
    ],
  },
  stream: {
    by: "throw",
    bad: [
      scopeOf("stream", (scope, { worker }) => bough.stream(scope, [1], worker)),
      {
        called: "stream: items",
        kind: noItems,
        call: (value, { scope, worker }) => bough.stream(scope, value, worker),
      },
      {
        called: "stream: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.stream(scope, [1], value),
      },
      {
        called: "stream: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.stream(scope, [1], worker, value),
      },
      ...eachOption<bough.StreamOptions>(
        "stream",
        { ...combinatorOptions, concurrency: noLimit, ordered: noBoolean },
        (options, { scope, worker }) => bough.stream(scope, [1], worker, options),
      ),
    ],
  },
  retry: {
    by: "rejection",
    bad: [
      scopeOf("retry", (scope, { worker }) => bough.retry(scope, worker)),
      { called: "retry: worker", kind: noFunction, call: (value, { scope }) => bough.retry(scope, value) },
      {
        called: "retry: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.retry(scope, worker, value),
      },
      ...eachOption<bough.RetryOptions>("retry", retryOptions, (options, { scope, worker }) =>
        bough.retry(scope, worker, options),
      ),
    ],
  },
  supervise: {
    by: "throw",
    bad: [
      scopeOf("supervise", (scope, { worker }) => bough.supervise(scope, worker)),
      {
        called: "supervise: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.supervise(scope, value),
      },
      {
        called: "supervise: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.supervise(scope, worker, value),
      },
      ...eachOption<bough.SuperviseOptions>("supervise", superviseOptions, (options, { scope, worker }) =>
        bough.supervise(scope, worker, options),
      ),
    ],
  },
  detach: {
    by: "throw",
    bad: [
      scopeOf("detach", (scope, fixture) => bough.detach(scope, fixture.scope, fixture.worker)),
      {
        called: "detach: target",
        kind: noScope,
        isScope: true,
        call: (value, { scope, worker }) => bough.detach(scope, value, worker),
      },
      {
        called: "detach: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.detach(scope, scope, value),
      },
      {
        called: "detach: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.detach(scope, scope, worker, value),
      },
      ...eachOption<bough.DetachOptions>(
        "detach",
        { ...taskOptions, keepDeadline: noBoolean } satisfies Record<keyof bough.DetachOptions, Kind>,
        (options, { scope, worker }) => bough.detach(scope, scope, worker, options),
      ),
    ],
  },
  start: {
    by: "rejection",
    bad: [
      scopeOf("start", (scope, { worker }) => bough.start(scope, worker)),
      { called: "start: worker", kind: noFunction, call: (value, { scope }) => bough.start(scope, value) },
      {
        called: "start: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.start(scope, worker, value),
      },
      ...eachOption<bough.StartOptions>("start", combinatorOptions, (options, { scope, worker }) =>
        bough.start(scope, worker, options),
      ),
    ],
  },
  checkpoint: { by: "rejection", bad: [scopeOf("checkpoint", (scope) => bough.checkpoint(scope))] },
  ticker: {
    by: "throw",
    bad: [
      scopeOf("ticker", (scope) => bough.ticker(scope, 1)),
      {
        called: "ticker: ms",
        kind: [...noDuration, ...wrongType(undefined), ...outOfRange(0)],
        call: (value, { scope }) => bough.ticker(scope, value),
      },
    ],
  },
  select: {
    by: "rejection",
    bad: [
      scopeOf("select", (scope) => bough.select(scope, { idle: 1 })),
      {
        called: "select: cases",
        kind: wrongType(undefined, null, "text", 1, () => 1),
        call: (value, { scope }) => bough.select(scope, value),
      },
      {
        called: "select: key",
        kind: [...wrongType(undefined, null, "text", {}, [], () => 1), ...outOfRange(-1, NaN)],
        call: (value, { scope }) => bough.select(scope, { key: value }),
      },
    ],
  },
  sending: {
    by: "throw",
    bad: [{ called: "sending: channel", kind: noChannel, call: (value) => bough.sending(value, 1) }],
  },
  createChannel: {
    by: "throw",
    bad: [
      {
        called: "createChannel: capacity",
        kind: [...noNumber, ...outOfRange(-1, 1.5, NaN, -Infinity)],
        call: (value) => bough.createChannel(value),
      },
    ],
  },
  createSemaphore: {
    by: "throw",
    bad: [
      {
        called: "createSemaphore: permits",
        kind: [...noCount(1), ...wrongType(undefined)],
        call: (value) => bough.createSemaphore(value),
      },
    ],
  },
  shield: {
    by: "rejection",
    bad: [
      scopeOf("shield", (scope, { worker }) => bough.shield(scope, { timeout: 1 }, worker)),
      {
        called: "shield: options",
        kind: [...noOptions, ...wrongType(undefined)],
        call: (value, { scope, worker }) => bough.shield(scope, value, worker),
      },
      {
        called: "shield: timeout",
        kind: [...noDuration, ...wrongType(undefined), ...outOfRange(Infinity)],
        call: (timeout, { scope, worker }) => bough.shield(scope, { timeout }, worker),
      },
      {
        called: "shield: name",
        kind: noString,
        call: (name, { scope, worker }) => bough.shield(scope, { timeout: 1, name }, worker),
      },
      {
        called: "shield: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.shield(scope, { timeout: 1 }, value),
      },
    ],
  },
  moveOnAfter: {
    by: "rejection",
    bad: [
      scopeOf("moveOnAfter", (scope, { worker }) => bough.moveOnAfter(scope, { timeout: 1 }, worker)),
      {
        called: "moveOnAfter: options",
        kind: [...noOptions, ...wrongType(undefined, {}, { name: "limit" })],
        call: (value, { scope, worker }) => bough.moveOnAfter(scope, value, worker),
      },
      ...eachOption<{ timeout: number }>(
        "moveOnAfter",
        { timeout: noDuration },
        (options, { scope, worker }) => bough.moveOnAfter(scope, options, worker),
      ),
      ...eachOption<{ deadline: number }>(
        "moveOnAfter",
        { deadline: noInstant },
        (options, { scope, worker }) => bough.moveOnAfter(scope, options, worker),
      ),
      {
        called: "moveOnAfter: name",
        kind: noString,
        call: (name, { scope, worker }) => bough.moveOnAfter(scope, { timeout: 1, name }, worker),
      },
      {
        called: "moveOnAfter: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.moveOnAfter(scope, { timeout: 1 }, value),
      },
    ],
  },
  cancellable: {
    by: "rejection",
    bad: [
      scopeOf("cancellable", (scope, { worker }) => bough.cancellable(scope, worker, worker)),
      {
        called: "cancellable: start",
        kind: noFunction,
        call: (value, { scope, worker }) => bough.cancellable(scope, value, worker),
      },
      {
        called: "cancellable: stop",
        kind: noFunction,
        call: (value, { scope, worker }) => bough.cancellable(scope, worker, value),
      },
      {
        called: "cancellable: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.cancellable(scope, worker, worker, value),
      },
      ...eachOption<bough.CancellableOptions>(
        "cancellable",
        combinatorOptions,
        (options, { scope, worker }) => bough.cancellable(scope, worker, worker, options),
      ),
    ],
  },
  createSingleFlight: {
    by: "throw",
    bad: [
      {
        called: "createSingleFlight: owner",
        kind: noScope,
        isScope: true,
        call: (value) => bough.createSingleFlight(value),
      },
    ],
  },
  "SingleFlight.do": {
    by: "rejection",
    bad: [
      scopeOf("do", (scope, { worker }) =>
        bough.createSingleFlight(bough.background).do(scope, "key", worker),
      ),
      {
        called: "do: worker",
        kind: noFunction,
        call: (value, { scope }) => bough.createSingleFlight(scope).do(scope, "key", value),
      },
    ],
  },
  selfCleaning: {
    by: "throw",
    bad: [
      { called: "selfCleaning: build", kind: noFunction, call: (value) => bough.selfCleaning(value) },
      {
        called: "selfCleaning: build",
        kind: noFunction,
        call: (value, { scope }) => bough.selfCleaning(scope, value),
      },
      {
        called: "selfCleaning: parent",
        kind: noScope.filter(({ value }) => typeof value !== "function"),
        isScope: true,
        call: (value, { worker }) => bough.selfCleaning(value, worker as () => never),
      },
      {
        called: "selfCleaning: options",
        kind: noOptions,
        call: (value, { scope, worker }) => bough.selfCleaning(scope, worker as () => never, value),
      },
      {
        called: "selfCleaning: options",
        kind: noOptions,
        call: (value, { worker }) => bough.selfCleaning(worker as () => never, value),
      },
      ...eachOption<bough.ScopeOptions>(
        "selfCleaning",
        { name: noString, timeout: noDuration },
        (options, { worker }) => bough.selfCleaning(worker as () => never, options),
      ),
    ],
  },
  close: {
    by: "rejection",
    bad: [
      { called: "close: handle", kind: noHandle, isScope: true, call: (value) => bough.close(value) },
      {
        called: "close: handle",
        kind: wrongType(bough.background),
        call: (value) => bough.close(value),
      },
      { called: "close: options", kind: noOptions, call: (value, { scope }) => bough.close(scope, value) },
      { called: "close: grace", kind: noDuration, call: (grace, { scope }) => bough.close(scope, { grace }) },
    ],
  },
};

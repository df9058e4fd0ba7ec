// oxlint-disable vitest/no-conditional-expect, vitest/no-standalone-expect -- in a property, what holds depends on what was generated
import { EventEmitter, getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  stop,
  type Steps,
} from "../../test/support/steps.js";
import { createScope, type Scope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { events } from "./index.js";

type Move = "emits" | "asks" | "waits" | "ends" | "fails" | "returns";

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<Move[]>("emits", "asks") },
    { weight: 2, arbitrary: fc.constantFrom<Move[]>("emits", "waits") },
    { weight: 1, arbitrary: fc.constantFrom<Move[]>("ends", "fails", "returns") },
  ),
  { minLength: 3, maxLength: 12 },
);

const failure = new Error("emitted");

/** A source of numbered events, of either kind. */
interface Source {
  readonly target: EventEmitter | EventTarget;
  readonly emit: (name: string, value?: unknown) => void;
  readonly numberOf: (event: unknown) => unknown;
  readonly listeners: () => number;
  /** How many listeners there are while it listens. */
  readonly all: number;
  /** Whether its "error" is one. */
  readonly fails: boolean;
}

function emitter(): Source {
  const target = new EventEmitter();
  return {
    target,
    emit: (name, value) => {
      if (name !== "error" || target.listenerCount("error") > 0) target.emit(name, value);
    },
    numberOf: (values) => (values as unknown[])[0],
    all: 3,
    fails: true,
    listeners: () => target.eventNames().reduce((sum, name) => sum + target.listenerCount(name), 0),
  };
}

function eventTarget(): Source {
  const target = new EventTarget();
  return {
    target,
    emit: (name, value) => target.dispatchEvent(Object.assign(new Event(name), { value })),
    numberOf: (event) => (event as { value?: unknown }).value,
    all: 2,
    fails: false,
    listeners: () => ["value", "end", "error"].flatMap((name) => getEventListeners(target, name)).length,
  };
}

/** A model of `events` without promises. */
class Model {
  /** The expected outcome of each `next()`: a number, the end, or an error. */
  readonly answers: unknown[] = [];
  ended = false;
  failure: unknown;
  readonly #buffer: number;
  #ready: number[] = [];
  readonly #waiting: number[] = [];

  constructor(buffer: number) {
    this.#buffer = buffer;
  }

  emit(value: number): void {
    if (this.ended) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.answers[waiting] = value;
    else this.#ready = [...this.#ready, value].slice(-this.#buffer);
  }

  ask(): void {
    const index = this.answers.push("nothing") - 1;
    if (this.#ready.length > 0) this.answers[index] = this.#ready.shift();
    else if (this.ended) this.#close(index);
    else this.#waiting.push(index);
  }

  end(failure?: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = failure;
    for (const index of this.#waiting) this.#close(index);
  }

  return(): void {
    this.drop();
    this.failure = undefined;
    this.end();
  }

  drop(): void {
    this.#ready = [];
  }

  #close(index: number): void {
    this.answers[index] = this.failure ?? "the end";
    this.failure = undefined;
  }
}

/** Makes the moves with both, and looks at the listeners after each. */
class Play {
  readonly answers: unknown[] = [];
  readonly model: Model;
  #count = 0;
  readonly #source: Source;
  readonly #values: AsyncIterableIterator<unknown>;
  readonly #asked: Promise<void>[] = [];

  constructor(scope: Scope, source: Source, buffer: number) {
    this.#source = source;
    this.model = new Model(buffer);
    this.#values = events(scope, source.target as EventTarget, "value", { buffer, until: "end" });
  }

  async play(list: readonly Move[], steps: Steps): Promise<void> {
    for (const move of list) {
      await this.#make(move);
      expect(this.#source.listeners()).toBe(this.model.ended ? 0 : this.#source.all);
      steps.point();
    }
    for (let n = 0; n <= list.length; n++) this.#ask(); // the last one gets no value
    await Promise.all(this.#asked);
  }

  #make(move: Move): unknown {
    switch (move) {
      case "asks":
        return this.#ask();
      case "waits":
        return Promise.resolve();
      case "emits":
        this.model.emit(this.#count);
        return this.#source.emit("value", this.#count++);
      case "ends":
        this.model.end();
        return this.#source.emit("end");
      case "fails":
        if (this.#source.fails) this.model.end(failure);
        return this.#source.emit("error", failure);
      case "returns":
        this.model.return();
        return this.#values.return?.();
    }
  }

  #ask(): void {
    this.model.ask();
    const index = this.answers.push("nothing") - 1;
    const answer = (is: unknown): void => void (this.answers[index] = is);
    const take = ({ done, value }: IteratorResult<unknown>): void =>
      answer(done === true ? "the end" : this.#source.numberOf(value));
    this.#asked.push(this.#values.next().then(take, answer));
  }
}

describe.each([
  ["an EventEmitter", emitter],
  ["an EventTarget", eventTarget],
])("events() of %s at every step", (_, makeSource) => {
  it("yields each event exactly once, settles every next(), and has no listener once it has ended", () =>
    atEveryStep(15, fc.tuple(moves, fc.constantFrom(1, 2, Infinity), endings), async (steps, plan) => {
      const [list, buffer, ending] = plan;
      const source = makeSource();
      const scope = createScope({ onError: () => undefined });
      const play = new Play(scope, source, buffer);
      const { model } = play;
      let untaken = false;
      steps.interrupt = () => {
        untaken = model.failure !== undefined;
        endScope(scope, ending);
        if (!model.ended) model.drop();
        model.end(scope.reason);
        expect(source.listeners()).toBe(0);
      };
      await steps.play(play.play(list, steps));
      expect(play.answers).toEqual(model.answers);
      for (const [index, answer] of play.answers.entries()) expect(answer).toBe(model.answers[index]);
      expect(snapshot(scope).counts.children).toBe(0);
      await expectNothingLeft(steps, scope);
      expect(scope.errors.filter((error) => error !== stop)).toEqual(untaken ? [failure] : []);
    }));
});

import assert from "node:assert/strict";
import { CancelledError, suppressed } from "../../src/index.js";
import { Ledger } from "../support/ledger.js";
import { RealTree } from "./real.js";
import { ModelReason, ReferenceTree } from "./reference.js";
import {
  forgetErrors,
  SIGNALS,
  type Action,
  type Ending,
  type Event,
  type NodeSpec,
  type Tree,
  type WaitKind,
  type WorkSpec,
} from "./vocabulary.js";

type RawAction = { do: Action["do"]; target?: number; work?: WorkSpec };

/** One step of a random run. `target` is a number that finds its node when the step comes: so it shrinks. */
export type Command = { readonly target: number } & (
  | { op: "spawn"; spec: NodeSpec; work: WorkSpec }
  | { op: "createScope"; spec: NodeSpec }
  | { op: "withScope"; spec: NodeSpec; work: WorkSpec }
  | { op: "finish"; ending: Ending; count: number }
  | { op: "cancel" | "release" | "stop" | "abort" | "tick" | "signal" }
  | { op: "wait"; kind: WaitKind }
  | { op: "defer"; held: boolean; action: RawAction }
  | { op: "onCancel" | "onAbort"; action: RawAction }
);

/** The outcome depends on an order that nothing specifies. The run ends there. */
class Unspecified extends Error {}

/** Says the same to the real tree and to the reference, and compares what can be seen of them. */
export class Check {
  readonly #real = new RealTree();
  readonly #model = new ReferenceTree();
  readonly #ledger = new Ledger();
  readonly #unhandled: unknown[];
  /** The reasons of the model and the real ones: one for one. */
  readonly #reasonOf = new Map<ModelReason, unknown>();
  readonly #modelOf = new Map<unknown, ModelReason>();
  #made = 0;

  private constructor(unhandled: unknown[]) {
    this.#unhandled = unhandled;
    unhandled.length = 0;
  }

  /** Runs `script`, then ends everything and looks for what is left, however the script went. */
  static async run(unhandled: unknown[], script: (check: Check) => Promise<void>): Promise<void> {
    const check = new Check(unhandled);
    try {
      await script(check);
      await check.#end();
    } catch (error) {
      await check.#real.endAll(settled);
      unhandled.length = 0;
      if (!(error instanceof Unspecified)) throw error;
    } finally {
      check.#ledger.stop();
    }
    assert.deepEqual(check.#real.leftovers(), []);
    assert.deepEqual(check.#ledger.breaches, []);
    assert.deepEqual([...check.#ledger.open.keys()], [], "what is open by what the channels have said");
  }

  begin(spec: NodeSpec): void {
    forgetErrors();
    this.#both((tree) => tree.createScope("root", "background", spec));
  }

  /** Returns `false` if there is nothing that the step could apply to. */
  apply(command: Command): boolean {
    const make = `${command.op}${++this.#made}`;
    const model = this.#model;
    const names = [...model.nodes.keys()].filter((name) => name !== "background");
    const seen = names.filter((name) => model.isSeen(name));
    const pick = (from: readonly string[], number = command.target): string | undefined => {
      const open = from.filter((name) => model.look(name).state !== "closed");
      // Mostly what is alive; now and then what has ended.
      const pool = number % 7 === 6 || open.length === 0 ? from : open;
      return pool[number % Math.max(1, pool.length)];
    };
    const act = (raw: RawAction): Action => this.#action(make, raw, pick, seen);
    switch (command.op) {
      case "spawn":
      case "createScope":
      case "withScope": {
        const at = command.target === 40 ? "background" : (pick(seen) ?? "background");
        const { op, spec } = command;
        if (op === "createScope") this.#both((tree) => tree.createScope(make, at, spec));
        else this.#both((tree) => tree[op](make, at, spec, command.work));
        return true;
      }
      case "finish": {
        const held = names.filter((name) => model.isHeld(name));
        if (held.length === 0) return false;
        const chosen = Array.from(
          { length: command.count },
          (_, index) => held[(command.target + index) % held.length] as string,
        );
        this.#both((tree) => tree.finish([...new Set(chosen)], command.ending));
        return true;
      }
      case "release": {
        const held = [...model.held.keys()];
        const name = held[command.target % Math.max(1, held.length)];
        if (name !== undefined) this.#both((tree) => tree.release(name));
        return name !== undefined;
      }
      case "stop": {
        const hooks = [...model.hooks.keys()];
        const name = hooks[command.target % Math.max(1, hooks.length)];
        if (name !== undefined) this.#both((tree) => tree.stop(name));
        return name !== undefined;
      }
      case "signal": {
        const at = pick(seen);
        if (at !== undefined) this.#both((tree) => tree.signal(at));
        return at !== undefined;
      }
      case "wait": {
        const at = pick(names.filter((name) => model.isHandle(name)));
        if (at !== undefined) this.#both((tree) => tree.wait(make, at, command.kind));
        return at !== undefined;
      }
      case "cancel": {
        const at = pick(names.filter((name) => model.isSeen(name) || model.isTask(name)));
        if (at !== undefined) this.#both((tree) => tree.cancel(at));
        return at !== undefined;
      }
      case "abort":
        this.#both((tree) => tree.abort(command.target % SIGNALS));
        return true;
      case "tick":
        this.#both((tree) => tree.tick());
        return true;
      default: {
        const at = pick(seen);
        if (at === undefined) return false;
        const action = act(command.action);
        if (command.op === "defer")
          this.#both((tree) => tree.defer(make, at, { held: command.held, action }));
        else this.#both((tree) => tree[command.op](make, at, action));
        return true;
      }
    }
  }

  /** Lets everything happen that happens by itself, and compares. */
  async compare(): Promise<void> {
    await settled();
    const [real, model] = [this.#real, this.#model];
    model.settle();
    if (model.ambiguous !== undefined) throw new Unspecified(model.ambiguous);
    for (const error of this.#unhandled.splice(0)) real.reports.push({ receiver: "nobody", error });
    this.#compareEvents();
    this.#compareReports();
    for (const name of model.nodes.keys()) if (name !== "background") this.#compareNode(name);
    assert.deepEqual([...real.settlements.keys()].sort(), [...model.settlements.keys()].sort());
    for (const [name, { status, ...rest }] of model.settlements) {
      const settlement = real.settlements.get(name);
      assert.equal(settlement?.status, status, `how ${name} settled`);
      if ("value" in rest && settlement !== undefined && "value" in settlement)
        this.#same(settlement.value, rest.value, `what ${name} settled with`);
    }
  }

  async #end(): Promise<void> {
    const model = this.#model;
    for (const name of model.nodes.keys())
      if (model.isHandle(name)) this.#both((tree) => tree.wait(`end of ${name}`, name, "close"));
    for (const name of model.leftovers()) if (!model.isHandle(name)) this.#both((tree) => tree.cancel(name));
    await this.compare();
    for (let name = this.heldUp()[0]; name !== undefined; name = this.heldUp()[0]) {
      this.letGo(name, "value");
      await this.compare();
    }
    assert.deepEqual(model.leftovers(), [], "what the model has left");
  }

  /** Workers and cleanups that wait to be told to go on. */
  heldUp(): string[] {
    const model = this.#model;
    return [...[...model.nodes.keys()].filter((name) => model.isHeld(name)), ...model.held.keys()];
  }

  letGo(name: string, ending: Ending): void {
    if (this.#model.held.has(name)) this.#both((tree) => tree.release(name));
    else if (this.#model.isHeld(name)) this.#both((tree) => tree.finish([name], ending));
  }

  #both(say: (tree: Tree) => void): void {
    say(this.#real);
    say(this.#model);
  }

  #action(
    make: string,
    { do: kind, target = 0, work }: RawAction,
    pick: (from: readonly string[], number: number) => string | undefined,
    seen: readonly string[],
  ): Action {
    const made = `${make}'s`;
    const hooks = [...this.#model.hooks.keys()];
    const at = pick(seen, target) ?? "root";
    if (kind === "throw") return { do: "throw", error: make };
    if (kind === "cancel") return { do: "cancel", at };
    if (kind === "spawn") return { do: "spawn", at, make: made, work: work as WorkSpec };
    if (kind === "defer") return { do: "defer", at, make: made };
    if (kind === "signal") return { do: "signal", at };
    if (kind === "close") return { do: "close", at, make: made };
    if (kind === "stop" && hooks.length > 0)
      return { do: "stop", hook: hooks[target % hooks.length] as string };
    return { do: "nothing" };
  }

  #compareEvents(): void {
    const [real, model] = [this.#real.events.splice(0), this.#model.events.splice(0)];
    const started = real.filter(({ kind }) => kind === "start").map(({ of }) => of);
    const announced = this.#ledger.takeOpened().filter((name) => !this.#model.isHandle(name));
    assert.deepEqual(announced, started, "whose workers and bodies were called");
    // Events of different scopes may happen in any order, except the calls of a cancellation.
    const grouped = (events: readonly Event[]): Record<string, unknown[]> => {
      const groups: Record<string, unknown[]> = {};
      for (const { kind, of, what } of events) {
        const group =
          kind === "listener"
            ? "listeners"
            : kind === "start"
              ? `starts in ${this.#model.parentOf(of)}`
              : `${kind} ${of}`;
        (groups[group] ??= []).push(what);
      }
      return groups;
    };
    assert.deepEqual(grouped(real), grouped(model));
    const work = real.filter(({ kind }) => kind === "start" || kind === "cleanup");
    work.forEach(({ kind, of }, index) => {
      if (kind !== "cleanup") return;
      const later = work.slice(index + 1).filter((event) => this.#model.isBelow(event.of, of));
      assert.deepEqual(later, [], `what happened below ${of} after its cleanup had begun`);
    });
  }

  #compareReports(): void {
    const [real, model] = [this.#real.reports.splice(0), this.#model.reports.splice(0)];
    assert.deepEqual(
      real.map(({ receiver }) => receiver).sort(),
      model.map(({ receiver }) => receiver).sort(),
    );
    for (const { receiver, error } of model) {
      const found = real.findIndex(
        (other) => other.receiver === receiver && this.#isSame(other.error, error),
      );
      assert.ok(found >= 0, `report of ${String(error)} to ${receiver}`);
      real.splice(found, 1);
    }
  }

  #compareNode(name: string): void {
    const { reason, errors, ...plain } = this.#model.look(name);
    const { reason: realReason, errors: realErrors, ...realPlain } = this.#real.look(name);
    assert.deepEqual({ name, ...realPlain }, { name, ...plain });
    this.#same(realReason, reason, `reason of ${name}`);
    assert.equal(realErrors?.length, errors?.length, `how often ${name} failed`);
    const later = (realErrors ?? []).slice(1);
    const first = realErrors?.[0];
    if (plain.state === "closed" && later.length > 0)
      assert.ok(
        later.every((error) => suppressed(first).includes(error)),
        `what ${name} suppressed`,
      );
    errors?.forEach((error, index) => this.#same(realErrors?.[index], error, `error ${index} of ${name}`));
  }

  #same(real: unknown, model: unknown, what: string): void {
    if (!(model instanceof ModelReason)) {
      assert.equal(real, model, what);
      return;
    }
    assert.ok(real instanceof CancelledError, what);
    assert.equal(real.kind, model.kind, `kind of ${what}`);
    assert.equal(real.scope, model.scope, `scope of ${what}`);
    this.#same(real.cause, model.cause, `cause of ${what}`);
    assert.ok(this.#isSame(real, model), `one reason, one object: ${what}`);
    this.#reasonOf.set(model, real);
    this.#modelOf.set(real, model);
  }

  #isSame(real: unknown, model: unknown): boolean {
    if (!(model instanceof ModelReason)) return real === model;
    const known = this.#reasonOf.get(model) ?? real;
    return real instanceof CancelledError && known === real && (this.#modelOf.get(real) ?? model) === model;
  }
}

/** Every microtask and every `process.nextTick` callback that is queued, and those that they queue, has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

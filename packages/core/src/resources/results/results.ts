import { isObject, isObjectLike, read } from "../../errors/user-values.js";
import { scopeBrand } from "../../errors/brands.js";
import { detached } from "../../errors/detach-stack.js";
import { channelCore } from "../../flow/sync/find-channel-core.js";
import { setSubject, subjectOf } from "../../kernel/object-marks.js";
import { NodeTask } from "../../task/task.js";
import { EmitterFacade, isEmitter, signalOf } from "./emitter-facade.js";
import {
  ContainerFacade,
  endingMethods,
  Facade,
  IteratorFacade,
  MapFacade,
  SubscriptionFacade,
  ThenableFacade,
} from "./facades.js";
import { isConstructor, hasNoParameters, type AnyFunction } from "./function-wrappers.js";
import { convertArguments } from "./arguments.js";
import { hold, release, type HandleRef } from "./handle-ref.js";
import { HandleObject } from "../handle/handle-object.js";
import { MAX_DEPTH, MAX_MEMBERS } from "../constants.js";
import { canReachHandle, classOf, isPlain } from "./reachability.js";
import { holdUntilClosed, isPassedOn, isPlatformData } from "./platform-objects.js";
import { bodyOf, hasOnlyPrimitives, membersOf, plainMembers, simpleKindOf, valuesOf } from "./plain-data.js";
import { promiseForCaller } from "./promises.js";
import { isStreamPair, isStreamReader, isWebStream, streamFacade } from "./web-stream-facades.js";

/**
 * Converts a value that an inner object returns through its handle, or through a result. The inner object becomes the
 * handle. A value that can still deliver or call the inner object holds the handle, by the cheapest means:
 *
 * - a promise becomes a promise that settles with it, whose reaction holds the handle until then;
 * - a channel, a stream, an emitter, an iterable, a subscription, or a thenable with members becomes a facade, since
 *   the inner object may keep the result itself. The facade holds the handle until its end;
 * - an array, a literal, a `Map` or a `Set` that contains such values or functions becomes a facade. So does a function,
 *   and an object whose methods may call the inner object. The results of its methods hold the handle in turn;
 * - any other object with methods stays the same object, and holds the handle as long as it lives.
 *
 * Data stays as it is, and holds nothing.
 */
export function toCaller(ref: HandleRef, value: unknown, args?: readonly unknown[]): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return value;
  const { handle, results } = ref;
  if (handle === undefined) return value;
  if (value === ref.inner) return handle;
  const known = results.facades.get(value)?.deref();
  if (known !== undefined) return known;
  if (typeof value === "function") return functionResult(ref, value, args);
  const members = plainMembers(value);
  if (members === undefined) {
    if (HandleObject.isHandle(value)) return handleResult(handle as HandleObject, value, args === undefined);
  } else if (hasOnlyPrimitives(value, members)) return value;
  if (results.fromCaller.has(value) && !hasGainedResults(ref, value, args, members)) return value;
  // Not the reference of the result, which may end earlier: an iterator that yields promises ends with the last of them.
  const lasting = HandleObject.refOf(handle as HandleObject);
  if (isBarePromise(value)) return promiseForCaller(lasting, value, args ?? []);
  const kind = kindOf(ref, value, args, members);
  if (kind === "data") return value;
  if (kind === "platform") {
    holdUntilClosed(lasting, value);
    return value;
  }
  if (kind === "itself") {
    if (args !== undefined) holdWhileAlive(lasting, value);
    return value;
  }
  return results.facadeOf(value, () => kind(value, ref.derive(), args ?? []));
}

/** Whether a method has put results of its own into the array or literal that it was called with and returns. */
function hasGainedResults(
  ref: HandleRef,
  value: object,
  args: readonly unknown[] | undefined,
  members: readonly unknown[] | undefined,
): boolean {
  return (
    members !== undefined &&
    args?.includes(value) === true &&
    kindOf(ref, value, args, members) === containerKind
  );
}

/** Creates the facade of a result of one kind. */
type MakeFacade = (value: object, ref: HandleRef, args: readonly unknown[]) => object;

/** A kind of result: the function that makes its facade, or the name of a kind whose results have none. */
type ResultKind = MakeFacade | "data" | "itself" | "platform";

const thenableKind: MakeFacade = (value, ref) =>
  new ThenableFacade(value, ref, value instanceof Promise || isTaskOrFacade(value)).proxy;
const iteratorKind: MakeFacade = (value, ref) => new IteratorFacade(value, ref).proxy;
const emitterKind: MakeFacade = (value, ref, args) => {
  holdBy(args.filter(isCallback), ref);
  return new EmitterFacade(value, ref).proxy;
};
const subscriptionKind: MakeFacade = (value, ref, args) => {
  holdCallbacks(ref, value, args);
  return new SubscriptionFacade(value, ref).proxy;
};
const containerKind: MakeFacade = (value, ref) => new ContainerFacade(value, ref).proxy;
const mapKind: MakeFacade = (value, ref) => new MapFacade(value, ref).proxy;
const readerKind: MakeFacade = (value, ref) => {
  endWithReader(value as Reader, new WeakRef(ref));
  return new Facade(value, ref).proxy;
};
const objectKind: MakeFacade = (value, ref) => {
  channelCore(value)?.onClose(new WeakRef(ref));
  return new Facade(value, ref).proxy;
};

type Reader = ReadableStreamDefaultReader | WritableStreamDefaultWriter;

/** A separate function, so that the closure reaches no reference: the inner object may keep the reader. */
function endWithReader(reader: Reader, ref: WeakRef<HandleRef>): void {
  const end = (): void => ref.deref()?.end();
  void reader.closed.then(end, end);
}

/**
 * The kind of a result. An object whose getter or proxy trap throws counts as data.
 *
 * @param members - Those of an array or a literal.
 */
function kindOf(
  ref: HandleRef,
  value: object,
  args: readonly unknown[] | undefined,
  members: readonly unknown[] | undefined,
): ResultKind {
  try {
    const kind = kindBySelf(ref, value, args);
    if (kind === mapKind) return someEntryHolds(ref, value as Collection) ? mapKind : "data";
    return kind === "literal" || kind === "record"
      ? kindByMembers(ref, value, args, kind === "record", members)
      : kind;
  } catch {
    return "data";
  }
}

/**
 * The kind of an object, as far as it does not depend on its members. It does for a map, for a `literal` (which may also be
 * an array, or an object of a class without methods), and for a `record`. A record has accessors, which use its fields.
 */
function kindBySelf(
  ref: HandleRef,
  value: object,
  args?: readonly unknown[],
): ResultKind | "literal" | "record" {
  if (Array.isArray(value)) return "literal";
  if (value instanceof Map || value instanceof Set) return mapKind;
  const plain = isPlain(value);
  const simple = plain ? undefined : simpleKindOf(value);
  if (simple !== undefined) return simple;
  if (scopeBrand in value) return "data"; // only the owner handle counts (rule 20)
  const kind = deliveringKind(value, args);
  if (kind !== undefined) return kind;
  if (plain) return "literal";
  if (HandleObject.isHandle(value)) return objectKind; // a member: a result that is a handle has been converted
  const { hasMethods, hasAccessors, hasPrivateMembers, takesFacade } = classOf(value);
  if (hasMethods)
    return canReachHandle(value, (member) => member === ref.inner || canDeliver(member))
      ? objectKind
      : "itself";
  if (!takesFacade) return "data";
  if (hasPrivateMembers) return objectKind;
  return hasAccessors ? "record" : "literal";
}

function kindByMembers(
  ref: HandleRef,
  value: object,
  args: readonly unknown[] | undefined,
  isRecord: boolean,
  members: readonly unknown[] | undefined,
): ResultKind {
  const search: Search = { ref, left: MAX_MEMBERS, holders: [] };
  if (someMemberHolds(value, MAX_DEPTH, search, members)) return containerKind;
  if (search.holders.length === 0) return "data";
  if (isRecord) return objectKind;
  if (args === undefined) return "data";
  if (search.holders.some((member) => typeof member === "function")) return containerKind;
  for (const member of search.holders) hold(member, ref);
  return "data";
}

type Collection = ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>;

/** As {@link someMemberHolds}, for the entries of a collection. */
function someEntryHolds(ref: HandleRef, value: Collection): boolean {
  const search: Search = { ref, left: MAX_MEMBERS, holders: [] };
  for (const member of value.values()) {
    if ((search.left -= 1) < 0) return false;
    if (isObjectLike(member) && memberHolds(member, MAX_DEPTH, search)) return true;
    if (typeof member === "function" && !isConstructor(member) && !ref.results.fromCaller.has(member))
      return true;
  }
  return false;
}

/** Whether a member is a handle, or a value that can deliver further values. */
function canDeliver(member: object): boolean {
  return HandleObject.isHandle(member) || (!isPlatformData(member) && deliveringKind(member) !== undefined);
}

/** The kind of a value that can deliver further values: a promise, a stream, an emitter, an iterator. `undefined` for any other. */
function deliveringKind(value: object, args?: readonly unknown[]): ResultKind | undefined {
  const members = value as Record<PropertyKey, unknown>;
  const has = (key: PropertyKey): boolean => typeof members[key] === "function";
  if (has("then")) return thenableKind;
  if (isWebStream(value)) return streamFacade;
  if (isStreamReader(value)) return readerKind;
  if (isEmitter(value)) return isPassedOn(value) ? "platform" : emitterKind;
  if (has(Symbol.asyncIterator)) return has("next") ? iteratorKind : objectKind;
  if (has("next") && has(Symbol.iterator)) return iteratorKind;
  if (has("unsubscribe")) return subscriptionKind;
  if (has("subscribe")) return objectKind;
  if (isStreamPair(value)) return containerKind;
  if (args === undefined || !args.some(isCallback)) return undefined;
  for (const ending of endingMethods) if (has(ending)) return subscriptionKind;
  return undefined;
}

/** A search through the members of a result, and through their members. */
interface Search {
  readonly ref: HandleRef;
  /** How many further members may be visited. */
  left: number;
  /** The functions, and objects with methods, that can hold the handle by themselves, without a facade around them. */
  readonly holders: object[];
}

/** Whether the facade of an array or literal must hold the handle. Adds to {@link Search.holders}. */
function someMemberHolds(
  value: object,
  depth: number,
  search: Search,
  members: readonly unknown[] = membersOf(value),
): boolean {
  for (const member of members) {
    if ((search.left -= 1) < 0) return false;
    if (typeof member === "function") {
      if (!isConstructor(member) && !search.ref.results.fromCaller.has(member)) search.holders.push(member);
    } else if (isObjectLike(member) && memberHolds(member, depth, search)) return true;
  }
  return false;
}

/** Whether a member, or a member of it, needs a facade around the whole, so that it holds the handle. */
function memberHolds(member: object, depth: number, search: Search): boolean {
  const { ref, holders } = search;
  if (member === ref.inner) return true;
  const members = plainMembers(member);
  if (members !== undefined && hasOnlyPrimitives(member, members)) return false;
  if (member instanceof Promise) return true;
  if (ref.results.fromCaller.has(member)) return false;
  const kind = kindBySelf(ref, member);
  if (kind === mapKind) return someEntryHolds(ref, member as Collection);
  if (kind === "literal" || kind === "record") {
    const known = holders.length;
    if (depth > 1 && someMemberHolds(member, depth - 1, search, members)) return true;
    return kind === "record" && holders.length > known;
  }
  if (kind === "itself") holders.push(member);
  return kind !== "data" && kind !== "itself";
}

/** Makes `value` hold the handle, and so the functions and the body that a caller may take out of it. */
function holdWhileAlive(ref: HandleRef, value: object): void {
  hold(value, ref);
  for (const member of valuesOf(value)) if (typeof member === "function") hold(member, ref);
  const body = bodyOf(value);
  if (isWebStream(body)) hold(body, ref);
}

/**
 * A function without parameters that a call with callbacks has returned ends a subscription. Any other function is like
 * a method: its results hold the handle, too.
 */
function functionResult(ref: HandleRef, value: AnyFunction, args: readonly unknown[] | undefined): unknown {
  if (args === undefined || isConstructor(value) || ref.results.fromCaller.has(value)) return value;
  const ends = args.some(isCallback) && hasNoParameters(value);
  return ref.results.facadeOf(value, () => {
    const derived = ref.derive();
    if (ends) holdCallbacks(derived, value, args);
    return functionFacade(derived, value, ends);
  });
}

/** A separate function, so that the closure reaches no other reference. */
function functionFacade(ref: HandleRef, value: AnyFunction, ends: boolean): object {
  const facade = new Proxy(value, {
    apply(_, self, args: unknown[]): unknown {
      let result: unknown;
      try {
        result = Reflect.apply(value, self, convertArguments(ref, args));
      } catch (error) {
        throw detached(error);
      }
      const converted = result === value ? facade : ref.convert(ref, result, args);
      if (ends) ref.end();
      return converted;
    },
  });
  setSubject(facade, value);
  return facade;
}

/** Makes the callbacks hold the handle as long as the inner object keeps them. */
function holdCallbacks(ref: HandleRef, subscription: object, args: readonly unknown[]): void {
  const callbacks = args.filter(isCallback);
  holdBy(callbacks, ref);
  for (const value of args) endOnAbort(ref, value);
  const { add, closed } = subscription as { add?: unknown; closed?: unknown };
  if (typeof add !== "function" || typeof closed !== "boolean") return;
  Reflect.apply(add, subscription, [
    () => {
      ref.end();
      for (const callback of callbacks) release(callback, ref);
    },
  ]);
}

function holdBy(callbacks: readonly object[], ref: HandleRef): void {
  for (const callback of callbacks) {
    hold(callback, ref);
    if (typeof callback === "function") continue;
    for (const member of Object.values(callback))
      if (typeof member === "function") hold(member as object, ref);
  }
}

/**
 * An abort signal among the arguments, or in an options literal, also ends a subscription. The signal does not reach
 * the handle.
 */
function endOnAbort(ref: HandleRef, value: unknown): void {
  const signal = value instanceof AbortSignal ? value : signalOf(value);
  if (signal === undefined) return;
  const weak = new WeakRef(ref);
  const end = (): void => weak.deref()?.end();
  if (signal.aborted) return end();
  signal.addEventListener("abort", end, { once: true });
  ref.onEnd = () => signal.removeEventListener("abort", end);
}

/** A function, or an observer. */
function isCallback(value: unknown): value is object {
  if (typeof value === "function") return !isConstructor(value);
  const keys = ["next", "complete", "handleEvent"];
  return isObject(value) && keys.some((key) => typeof read(value, key) === "function");
}

/**
 * Another handle. A handle that was passed in as an argument goes back as it was. A handle that was made after
 * `handle` may need the workers of `handle`. For it, the caller gets a second handle of the same object, which holds
 * both: the inner object may keep the first.
 */
function handleResult(handle: HandleObject, value: HandleObject, asField: boolean): object {
  const given = HandleObject.originalOf(handle, value);
  if (given !== value || asField || !HandleObject.isYounger(value, handle)) return given;
  const ref = HandleObject.refOf(handle);
  if (ref.results.fromCaller.has(value)) return value;
  return ref.results.facadeOf(value, () => {
    const second = HandleObject.copyOf(value);
    hold(second, value);
    hold(second, ref);
    setSubject(second, value);
    return second;
  });
}

/** A promise without further members. */
function isBarePromise(value: object): value is Promise<unknown> {
  try {
    if (!(value instanceof Promise) || value.constructor !== Promise) return false;
    if (Object.getOwnPropertyNames(value).length > 0) return false;
    return !Object.hasOwn(value, Symbol.asyncDispose) && !Object.hasOwn(value, Symbol.dispose);
  } catch {
    return false; // a proxy that was revoked or throws
  }
}

function isTaskOrFacade(value: object): boolean {
  return NodeTask.nodeOf(value) !== undefined || (subjectOf(value) !== undefined && "status" in value);
}

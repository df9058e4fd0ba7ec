import { scopeBrand } from "../../errors/brands.js";
import { detached } from "../../errors/detach-stack.js";
import { channelCore } from "../../flow/sync/core-of-channel.js";
import { setSubject, subjectOf } from "../../kernel/object-marks.js";
import { NodeTask } from "../../task/task.js";
import { EmitterFacade, isEmitter } from "./emitter-facade.js";
import {
  ContainerFacade,
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
  if (HandleObject.isHandle(value)) return handleResult(handle as HandleObject, value, args === undefined);
  if (results.fromCaller.has(value) && !hasGainedResults(ref, value, args)) return value;
  // Not the reference of the result, which may end earlier: an iterator that yields promises ends with the last of them.
  const lasting = HandleObject.refOf(handle as HandleObject);
  if (isBarePromise(value)) return promiseForCaller(lasting, value, args ?? []);
  const kind = kindOf(ref, value, args);
  if (kind === "data") return value;
  if (kind === "platform") {
    holdUntilClosed(lasting, value);
    return value;
  }
  if (kind === "itself") {
    if (args !== undefined) holdWhileAlive(lasting, value);
    return value;
  }
  return results.facadeOf(value, () => makeFacade(kind, value, ref.derive(), args));
}

/** Whether a method has put results of its own into the array or literal that it was called with and returns. */
function hasGainedResults(ref: HandleRef, value: object, args: readonly unknown[] | undefined): boolean {
  return args?.includes(value) === true && isPlain(value) && kindOf(ref, value, args) === "container";
}

type ResultKind =
  | "data"
  | "itself"
  | "platform"
  | "reader"
  | "stream"
  | "thenable"
  | "iterator"
  | "iterable"
  | "emitter"
  | "subscription"
  | "container"
  | "map"
  | "object";

function makeFacade(kind: ResultKind, value: object, ref: HandleRef, args: readonly unknown[] = []): object {
  switch (kind) {
    case "stream":
      return streamFacade(value, ref) ?? lockedStream(value, ref);
    case "thenable":
      return new ThenableFacade(value, ref, value instanceof Promise || isTaskOrFacade(value)).proxy;
    case "iterator":
      return new IteratorFacade(value, ref).proxy;
    case "emitter":
      holdBy(args.filter(isCallback), ref);
      return new EmitterFacade(value, ref).proxy;
    case "subscription":
      holdCallbacks(ref, value, args);
      return new SubscriptionFacade(value, ref).proxy;
    case "container":
      return new ContainerFacade(value, ref).proxy;
    case "map":
      return new MapFacade(value, ref).proxy;
    case "reader":
      endWithReader(value as Reader, new WeakRef(ref));
      return new Facade(value, ref).proxy;
    default:
      channelCore(value)?.onClose(new WeakRef(ref));
      return new Facade(value, ref).proxy;
  }
}

type Reader = ReadableStreamDefaultReader | WritableStreamDefaultWriter;

/** A separate function, so that the closure reaches no reference: the inner object may keep the reader. */
function endWithReader(reader: Reader, ref: WeakRef<HandleRef>): void {
  const end = (): void => ref.deref()?.end();
  void reader.closed.then(end, end);
}

/** A stream that has a reader already. */
function lockedStream(value: object, ref: HandleRef): object {
  hold(value, ref);
  return value;
}

/** The kind of a result. An object whose getter or proxy trap throws counts as data. */
function kindOf(ref: HandleRef, value: object, args: readonly unknown[] | undefined): ResultKind {
  try {
    if (Array.isArray(value)) return containerKind(ref, value, args);
    const plain = isPlain(value);
    if (value instanceof Map || value instanceof Set) return mapKind(ref, value);
    if (!plain && isPlatformData(value)) return "data";
    if (scopeBrand in value) return "data"; // only the owner handle counts (rule 20)
    const kind = liveKind(value, args);
    if (kind !== undefined) return kind;
    if (plain) return containerKind(ref, value, args);
    const { hasMethods, hasAccessors, hasPrivateMembers, takesFacade } = classOf(value);
    if (hasMethods)
      return canReachHandle(value, (member) => member === ref.inner || isLiveMember(member))
        ? "object"
        : "itself";
    if (!takesFacade) return "data";
    return hasPrivateMembers ? "object" : containerKind(ref, value, args, hasAccessors);
  } catch {
    return "data";
  }
}

/** @param hasAccessors - Whether `value` is of a class with accessors, which use what its fields hold. */
function containerKind(
  ref: HandleRef,
  value: object,
  args: readonly unknown[] | undefined,
  hasAccessors = false,
): ResultKind {
  const search: Search = { ref, left: MAX_MEMBERS, liveMembers: [] };
  if (containsLive(value, MAX_DEPTH, search)) return "container";
  if (search.liveMembers.length === 0) return "data";
  if (hasAccessors) return "object";
  if (args === undefined) return "data";
  if (search.liveMembers.some((member) => typeof member === "function")) return "container";
  for (const member of search.liveMembers) hold(member, ref);
  return "data";
}

function mapKind(ref: HandleRef, value: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>): ResultKind {
  const search: Search = { ref, left: MAX_MEMBERS, liveMembers: [] };
  const visit = (member: unknown): boolean =>
    (typeof member === "object" && member !== null && isLive(member, MAX_DEPTH, search)) ||
    (typeof member === "function" && !isConstructor(member) && !ref.results.fromCaller.has(member));
  for (const member of value.values()) {
    if ((search.left -= 1) < 0) return "data";
    if (visit(member)) return "map";
  }
  return "data";
}

function isLiveMember(member: object): boolean {
  return HandleObject.isHandle(member) || (!isPlatformData(member) && liveKind(member) !== undefined);
}

function liveKind(value: object, args?: readonly unknown[]): ResultKind | undefined {
  const members = value as Record<PropertyKey, unknown>;
  const has = (key: PropertyKey): boolean => typeof members[key] === "function";
  if (has("then")) return "thenable";
  if (isWebStream(value)) return "stream";
  if (isStreamReader(value)) return "reader";
  if (isEmitter(value)) return isPassedOn(value) ? "platform" : "emitter";
  if (has(Symbol.asyncIterator)) return has("next") ? "iterator" : "iterable";
  if (has("next") && has(Symbol.iterator)) return "iterator";
  if (has("unsubscribe")) return "subscription";
  if (has("subscribe")) return "iterable";
  if (isStreamPair(value)) return "container";
  if (args === undefined || !args.some(isCallback)) return undefined;
  for (const ending of SubscriptionFacade.endings) if (has(ending)) return "subscription";
  return undefined;
}

/** A look into arrays and literals. */
interface Search {
  readonly ref: HandleRef;
  left: number;
  /** The members that hold the handle by themselves. */
  readonly liveMembers: object[];
}

function containsLive(value: object, depth: number, search: Search): boolean {
  for (const key in value) {
    if ((search.left -= 1) < 0) return false;
    const member = (value as Record<string, unknown>)[key];
    if (typeof member === "function") {
      if (!isConstructor(member) && !search.ref.results.fromCaller.has(member))
        search.liveMembers.push(member);
    } else if (typeof member === "object" && member !== null && isLive(member, depth, search)) return true;
  }
  return false;
}

function isLive(member: object, depth: number, search: Search): boolean {
  const { inner, results } = search.ref;
  if (member === inner || member instanceof Promise) return true;
  if (results.fromCaller.has(member)) return false;
  if (Array.isArray(member)) return depth > 1 && containsLive(member, depth - 1, search);
  const plain = isPlain(member);
  if (member instanceof Map || member instanceof Set) return mapKind(search.ref, member) === "map";
  if (!plain && isPlatformData(member)) return false;
  if (scopeBrand in member) return false;
  if (HandleObject.isHandle(member) || liveKind(member) !== undefined) return true;
  if (plain) return depth > 1 && containsLive(member, depth - 1, search);
  const { hasMethods, hasAccessors, hasPrivateMembers, takesFacade } = classOf(member);
  if (!hasMethods) {
    if (!takesFacade || hasPrivateMembers) return takesFacade;
    const known = search.liveMembers.length;
    if (depth > 1 && containsLive(member, depth - 1, search)) return true;
    return hasAccessors && search.liveMembers.length > known;
  }
  if (canReachHandle(member, (field) => field === inner || isLiveMember(field))) return true;
  search.liveMembers.push(member);
  return false;
}

/** Makes `value` hold the handle, and so the functions and the body that a caller may take out of it. */
function holdWhileAlive(ref: HandleRef, value: object): void {
  hold(value, ref);
  for (const member of Object.values(value)) if (typeof member === "function") hold(member as object, ref);
  const { body } = value as { body?: unknown };
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
  if (typeof value !== "object" || value === null) return;
  const signal: unknown = value instanceof AbortSignal ? value : Reflect.get(value, "signal");
  if (!(signal instanceof AbortSignal)) return;
  const weak = new WeakRef(ref);
  const end = (): void => weak.deref()?.end();
  if (signal.aborted) return end();
  signal.addEventListener("abort", end, { once: true });
  ref.onEnd = () => signal.removeEventListener("abort", end);
}

/** A function, or an observer. */
function isCallback(value: unknown): value is object {
  if (typeof value === "function") return !isConstructor(value);
  if (typeof value !== "object" || value === null) return false;
  try {
    return ["next", "complete", "handleEvent"].some((key) => typeof Reflect.get(value, key) === "function");
  } catch {
    return false;
  }
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

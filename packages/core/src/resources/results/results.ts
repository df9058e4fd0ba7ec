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
import { isConstructor, hasNoParameters, type AnyFunction } from "./function-stand-ins.js";
import { convertArguments } from "./arguments.js";
import { hold, release, type Lease } from "./lease.js";
import { HandleObject } from "../handle/handle-object.js";
import { canReachHandle, classOf, isPlain, MAX_DEPTH, MAX_MEMBERS } from "./reachability.js";
import { holdUntilClosed, isPassedOn, isPlatformData } from "./platform-objects.js";
import { promiseForCaller } from "./promises.js";
import { isStreamPair, isStreamReader, isWebStream, streamFacade } from "./web-stream-facades.js";

/**
 * Converts a value that an inner object returns through its handle, or through a result. The inner object becomes the
 * handle. A value that can still deliver or call the inner object holds the handle, by the cheapest means:
 *
 * - a promise becomes a promise that settles with it, whose reaction holds the handle until then;
 * - a channel, a stream, an emitter, an iterable, a subscription, or a thenable with members becomes a facade that
 *   holds the handle until its end, since the inner object may keep the result itself;
 * - an array, a literal, a `Map` or a `Set` that contains such values or functions, a function, or an object whose
 *   methods may call the inner object becomes a facade, so that the results of its methods hold the handle in turn;
 * - any other object with methods stays the same object, and holds the handle as long as it lives.
 *
 * Data stays as it is, and holds nothing.
 */
export function toCaller(lease: Lease, value: unknown, args?: readonly unknown[]): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return value;
  const { handle, results } = lease;
  if (handle === undefined) return value;
  if (value === lease.inner) return handle;
  const known = results.facades.get(value)?.deref();
  if (known !== undefined) return known;
  if (typeof value === "function") return functionResult(lease, value, args);
  if (HandleObject.isHandle(value)) return handleResult(handle as HandleObject, value, args === undefined);
  if (results.fromCaller.has(value) && !hasGainedResults(lease, value, args)) return value;
  // A lease of its own may end before it: that of an iterator which yields promises ends with the last of them.
  const lasting = HandleObject.leaseOf(handle as HandleObject);
  if (isBarePromise(value)) return promiseForCaller(lasting, value, args ?? []);
  const kind = kindOf(lease, value, args);
  if (kind === "data") return value;
  if (kind === "platform") {
    holdUntilClosed(lasting, value);
    return value;
  }
  if (kind === "itself") {
    if (args !== undefined) holdWhileAlive(lasting, value);
    return value;
  }
  return results.facadeOf(value, () => makeFacade(kind, value, lease.derive(), args));
}

/** Whether a method has put results of its own into the array or literal that it was called with and returns. */
function hasGainedResults(lease: Lease, value: object, args: readonly unknown[] | undefined): boolean {
  return args?.includes(value) === true && isPlain(value) && kindOf(lease, value, args) === "container";
}

type Kind =
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

function makeFacade(kind: Kind, value: object, lease: Lease, args: readonly unknown[] = []): object {
  switch (kind) {
    case "stream":
      return streamFacade(value, lease) ?? lockedStream(value, lease);
    case "thenable":
      return new ThenableFacade(value, lease, value instanceof Promise || isTask(value)).proxy;
    case "iterator":
      return new IteratorFacade(value, lease).proxy;
    case "emitter":
      holdBy(args.filter(isCallback), lease);
      return new EmitterFacade(value, lease).proxy;
    case "subscription":
      holdCallbacks(lease, value, args);
      return new SubscriptionFacade(value, lease).proxy;
    case "container":
      return new ContainerFacade(value, lease).proxy;
    case "map":
      return new MapFacade(value, lease).proxy;
    case "reader":
      endWithReader(value as Reader, new WeakRef(lease));
      return new Facade(value, lease).proxy;
    default:
      channelCore(value)?.onClose(new WeakRef(lease));
      return new Facade(value, lease).proxy;
  }
}

type Reader = ReadableStreamDefaultReader | WritableStreamDefaultWriter;

/** A separate function, so that the closure reaches no lease: the inner object may keep the reader. */
function endWithReader(reader: Reader, lease: WeakRef<Lease>): void {
  const end = (): void => lease.deref()?.end();
  void reader.closed.then(end, end);
}

/** A stream that has a reader already. */
function lockedStream(value: object, lease: Lease): object {
  hold(value, lease);
  return value;
}

/** The kind of a result. An object whose getter or proxy trap throws counts as data. */
function kindOf(lease: Lease, value: object, args: readonly unknown[] | undefined): Kind {
  try {
    if (Array.isArray(value)) return containerKind(lease, value, args);
    const plain = isPlain(value);
    if (value instanceof Map || value instanceof Set) return mapKind(lease, value);
    if (!plain && isPlatformData(value)) return "data";
    if (scopeBrand in value) return "data"; // only the owner handle counts (rule 20)
    const kind = liveKind(value, args);
    if (kind !== undefined) return kind;
    if (plain) return containerKind(lease, value, args);
    const { hasMethods, hasAccessors, hasPrivateMembers, takesFacade } = classOf(value);
    if (hasMethods)
      return canReachHandle(value, (member) => member === lease.inner || isLiveMember(member))
        ? "object"
        : "itself";
    if (!takesFacade) return "data";
    return hasPrivateMembers ? "object" : containerKind(lease, value, args, hasAccessors);
  } catch {
    return "data";
  }
}

/** @param hasAccessors - Whether `value` is of a class with accessors, which use what its fields hold. */
function containerKind(
  lease: Lease,
  value: object,
  args: readonly unknown[] | undefined,
  hasAccessors = false,
): Kind {
  const search: Search = { lease, left: MAX_MEMBERS, liveMembers: [] };
  if (containsLive(value, MAX_DEPTH, search)) return "container";
  if (search.liveMembers.length === 0) return "data";
  if (hasAccessors) return "object";
  if (args === undefined) return "data";
  if (search.liveMembers.some((member) => typeof member === "function")) return "container";
  for (const member of search.liveMembers) hold(member, lease);
  return "data";
}

function mapKind(lease: Lease, value: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>): Kind {
  const search: Search = { lease, left: MAX_MEMBERS, liveMembers: [] };
  const visit = (member: unknown): boolean =>
    (typeof member === "object" && member !== null && isLive(member, MAX_DEPTH, search)) ||
    (typeof member === "function" && !isConstructor(member) && !lease.results.fromCaller.has(member));
  for (const member of value.values()) {
    if ((search.left -= 1) < 0) return "data";
    if (visit(member)) return "map";
  }
  return "data";
}

function isLiveMember(member: object): boolean {
  return (
    HandleObject.isHandle(member) || (!isPlatformData(member) && liveKind(member, undefined) !== undefined)
  );
}

function liveKind(value: object, args: readonly unknown[] | undefined): Kind | undefined {
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
  readonly lease: Lease;
  left: number;
  /** The members that hold the handle by themselves. */
  readonly liveMembers: object[];
}

function containsLive(value: object, depth: number, search: Search): boolean {
  for (const key in value) {
    if ((search.left -= 1) < 0) return false;
    const member = (value as Record<string, unknown>)[key];
    if (typeof member === "function") {
      if (!isConstructor(member) && !search.lease.results.fromCaller.has(member))
        search.liveMembers.push(member);
    } else if (typeof member === "object" && member !== null && isLive(member, depth, search)) return true;
  }
  return false;
}

function isLive(member: object, depth: number, search: Search): boolean {
  const { inner, results } = search.lease;
  if (member === inner || member instanceof Promise) return true;
  if (results.fromCaller.has(member)) return false;
  if (Array.isArray(member)) return depth > 1 && containsLive(member, depth - 1, search);
  const plain = isPlain(member);
  if (member instanceof Map || member instanceof Set) return mapKind(search.lease, member) === "map";
  if (!plain && isPlatformData(member)) return false;
  if (scopeBrand in member) return false;
  if (HandleObject.isHandle(member) || liveKind(member, undefined) !== undefined) return true;
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
function holdWhileAlive(lease: Lease, value: object): void {
  hold(value, lease);
  for (const member of Object.values(value)) if (typeof member === "function") hold(member as object, lease);
  const { body } = value as { body?: unknown };
  if (isWebStream(body)) hold(body, lease);
}

/**
 * A function without parameters that a call with callbacks has returned ends a subscription. Any other function is like
 * a method: its results hold the handle, too.
 */
function functionResult(lease: Lease, value: AnyFunction, args: readonly unknown[] | undefined): unknown {
  if (args === undefined || isConstructor(value) || lease.results.fromCaller.has(value)) return value;
  const ends = args.some(isCallback) && hasNoParameters(value);
  return lease.results.facadeOf(value, () => {
    const derived = lease.derive();
    if (ends) holdCallbacks(derived, value, args);
    return functionFacade(derived, value, ends);
  });
}

/** A separate function, so that the closure reaches no other lease. */
function functionFacade(lease: Lease, value: AnyFunction, ends: boolean): object {
  const facade = new Proxy(value, {
    apply(_, self, args: unknown[]): unknown {
      let result: unknown;
      try {
        result = Reflect.apply(value, self, convertArguments(lease, args));
      } catch (error) {
        throw detached(error);
      }
      const converted = result === value ? facade : lease.convert(lease, result, args);
      if (ends) lease.end();
      return converted;
    },
  });
  setSubject(facade, value);
  return facade;
}

/** Makes the callbacks hold the handle as long as the inner object keeps them. */
function holdCallbacks(lease: Lease, subscription: object, args: readonly unknown[]): void {
  const callbacks = args.filter(isCallback);
  holdBy(callbacks, lease);
  for (const value of args) endOnAbort(lease, value);
  const { add, closed } = subscription as { add?: unknown; closed?: unknown };
  if (typeof add !== "function" || typeof closed !== "boolean") return;
  Reflect.apply(add, subscription, [
    () => {
      lease.end();
      for (const callback of callbacks) release(callback, lease);
    },
  ]);
}

function holdBy(callbacks: readonly object[], lease: Lease): void {
  for (const callback of callbacks) {
    hold(callback, lease);
    if (typeof callback === "function") continue;
    for (const member of Object.values(callback))
      if (typeof member === "function") hold(member as object, lease);
  }
}

/**
 * An abort signal among the arguments, or in an options literal, also ends a subscription. The signal does not reach
 * the handle.
 */
function endOnAbort(lease: Lease, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const signal: unknown = value instanceof AbortSignal ? value : Reflect.get(value, "signal");
  if (!(signal instanceof AbortSignal)) return;
  const weak = new WeakRef(lease);
  const end = (): void => weak.deref()?.end();
  if (signal.aborted) return end();
  signal.addEventListener("abort", end, { once: true });
  lease.onEnd = () => signal.removeEventListener("abort", end);
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
 * `handle` may need the workers of `handle`: the caller gets a second handle of the same object that holds both,
 * since the inner object may keep the first.
 */
function handleResult(handle: HandleObject, value: HandleObject, asField: boolean): object {
  const given = HandleObject.originalOf(handle, value);
  if (given !== value || asField || !HandleObject.isYounger(value, handle)) return given;
  const lease = HandleObject.leaseOf(handle);
  if (lease.results.fromCaller.has(value)) return value;
  return lease.results.facadeOf(value, () => {
    const second = HandleObject.copyOf(value);
    hold(second, value);
    hold(second, lease);
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

function isTask(value: object): boolean {
  return NodeTask.nodeOf(value) !== undefined || (subjectOf(value) !== undefined && "status" in value);
}

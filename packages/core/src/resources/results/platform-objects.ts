import { hold, releaseAll, type HandleRef } from "./handle-ref.js";

const platformTypes = [Date, RegExp, Error, ArrayBuffer, Map, Set, WeakMap, WeakSet, Boolean, Number, String];

const dataClasses = new Set([
  "AbortSignal",
  "AbortController",
  "URL",
  "URLSearchParams",
  "Headers",
  "FormData",
  "Blob",
  "File",
  "Event",
  "SharedArrayBuffer",
  "WeakRef",
  "TextEncoder",
  "TextDecoder",
  "DOMException",
  "BigInt",
  "Symbol",
]);

/** Whether an object is data of a platform class. Iterators and streams must have been excluded before. */
export function isPlatformData(value: object): boolean {
  if (ArrayBuffer.isView(value) || value instanceof Error) return true;
  const { constructor } = value as { constructor?: unknown };
  if (typeof constructor !== "function") return false;
  if ((platformTypes as readonly unknown[]).includes(constructor)) return true;
  const { name } = constructor;
  return dataClasses.has(name) && Reflect.get(globalThis, name) === constructor;
}

/** Event targets that functions of the platform take: they accept no proxy. */
const passedOn = [
  "MessagePort",
  "Node",
  "AudioNode",
  "MediaStream",
  "MediaStreamTrack",
  "MediaSource",
  "OffscreenCanvas",
  "RTCDataChannel",
];

/**
 * Whether an emitter is one that is passed on to the platform: a port that is transferred, an element that is put into a
 * document, a media stream.
 */
export function isPassedOn(emitter: object): boolean {
  return passedOn.some((name) => {
    const type: unknown = Reflect.get(globalThis, name);
    return typeof type === "function" && emitter instanceof type;
  });
}

interface EmitterLike {
  on?: (event: string, listener: () => void) => unknown;
  addEventListener?: (event: string, listener: () => void) => unknown;
}

/** The emitters that {@link releaseWhenClosed} listens to. */
const watched = new WeakSet<EmitterLike>();

/** Makes an emitter hold the handle as long as it lives, at most until it emits `close`. */
export function holdUntilClosed(ref: HandleRef, emitter: EmitterLike): void {
  if (!hold(emitter, ref) || watched.has(emitter)) return;
  watched.add(emitter);
  releaseWhenClosed(emitter);
}

/** A separate function, so that the closure reaches no reference. */
function releaseWhenClosed(emitter: EmitterLike): void {
  const end = (): void => releaseAll(emitter);
  try {
    if (typeof emitter.on === "function") emitter.on("close", end);
    else emitter.addEventListener?.("close", end);
  } catch {
    // It has no such event.
  }
}

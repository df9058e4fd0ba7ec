import type { ArgumentsHost } from "@nestjs/common";
import { ExceptionsHandler } from "@nestjs/core/exceptions/exceptions-handler.js";
import type { Adapter } from "./adapter.js";

// The methods of Nest that are replaced, and why.

/** Handles the failure of a request before the app's exception filters. */
interface Interception {
  /**
   * Ends the request if the failure is its cancellation.
   *
   * @returns The failure for the filters; `undefined` if there is none.
   */
  failureOf(error: unknown, host: ArgumentsHost): { readonly error: unknown } | undefined;
}

const interceptions = new WeakMap<object, Interception>();
let isReplaced = false;

/**
 * Passes the failures of an app's requests through `interception` before its exception filters get them.
 *
 * Nest has no hook at that moment. It calls the first filter that matches: that of the method, then that of the controller, then
 * the global ones, the last one first. So a filter of bough would never see an error that a catch-all filter of the
 * app takes. That filter answers 500 and reports an error. This replaces the method that selects the filter.
 */
export function interceptFailures(adapter: Adapter, interception: Interception): void {
  interceptions.set(adapter, interception);
  if (isReplaced) return;
  isReplaced = true;
  const { prototype } = ExceptionsHandler;
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its receiver
  const original = prototype.next;
  prototype.next = function next(exception, host): void {
    const { applicationRef } = this as unknown as { applicationRef?: object };
    const found = applicationRef === undefined ? undefined : interceptions.get(applicationRef);
    if (found === undefined || host.getType() !== "http") return original.call(this, exception, host);
    const failure = found.failureOf(exception, host);
    if (failure !== undefined) original.call(this, failure.error as Error, host);
  };
}

/** Whether the app of an adapter is prepared. */
export function isIntercepted(adapter: Adapter): boolean {
  return interceptions.has(adapter);
}

/**
 * Awaits `shutDown` when the app closes, before Nest calls any of its shutdown hooks: they close the resources that
 * running requests use.
 *
 * The hooks themselves come too late. Nest calls those of a module in the order of its distance from the root module, and those of
 * a global module last. Nest calls `beforeClose` of the adapter before all of them, and awaits it.
 */
export function beforeShutdownHooks(adapter: Adapter, shutDown: () => Promise<void>): void {
  const original: unknown = Reflect.get(adapter, "beforeClose");
  const value = async function beforeClose(): Promise<void> {
    if (typeof original === "function") await Reflect.apply(original, adapter, []);
    await shutDown();
  };
  Object.defineProperty(adapter, "beforeClose", { value, configurable: true, writable: true });
}

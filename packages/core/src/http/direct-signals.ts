import { signals, type SignalController } from "../kernel/signal-controller.js";

// How a server on Node 20 makes the signals of scopes.
//
// Node 20 creates a signal by changing the prototype of an event target. V8 then gives each such object separate hidden
// classes. Creating a signal and adding a listener takes ten times as long as with an object that has its prototype
// from the start. A `DirectController` calls the constructor of event targets for an `AbortSignal`. Node keeps the
// state of a signal under symbols, which are taken from a sample. Nothing is assumed of them: the first such signal is
// tried, and unless it aborts as it should, scopes use an `AbortController`.

const OwnController: unknown = globalThis.AbortController;
let isDecided = false;

/** Makes scopes create their signals this way, if the process runs on Node 20. */
export function useDirectSignals(): void {
  if (isDecided) return;
  isDecided = true;
  if (!process.versions.node.startsWith("20.")) return;
  const make = directMaker();
  if (!aborts(make)) return;
  // A test, or an emulated browser, may have replaced the class.
  signals.make = () => (AbortController === OwnController ? make() : new AbortController());
}

function directMaker(): () => SignalController {
  const symbolsOf = Object.getOwnPropertySymbols;
  const ofTargets = symbolsOf(new EventTarget()).length;
  const [aborted, reason, composite] = symbolsOf(new AbortController().signal).slice(ofTargets);
  const deserialize = symbolsOf(AbortSignal.prototype).find((symbol) => /_deserialize/.test(String(symbol)));

  class Target extends EventTarget {
    constructor() {
      super();
      const fields = this as unknown as Record<symbol, unknown>;
      fields[aborted as symbol] = false;
      fields[reason as symbol] = undefined;
      fields[composite as symbol] = false;
    }
  }
  class DirectController implements SignalController {
    readonly signal = Reflect.construct(Target, [], AbortSignal) as AbortSignal;

    /** Aborts as if another thread had done it: only Node itself can create a trusted event. */
    abort(data: unknown): void {
      const port = {
        onmessage: undefined as ((message: object) => void) | undefined,
        unref() {},
        close() {},
      };
      (this.signal as unknown as Record<symbol, (from: object) => void>)[deserialize as symbol]?.({ port });
      port.onmessage?.({ data });
    }
  }
  return () => new DirectController();
}

function aborts(make: () => SignalController): boolean {
  try {
    const controller = make();
    const { signal } = controller;
    let event: Event | undefined;
    signal.addEventListener("abort", (abort) => (event = abort));
    controller.abort(signal);
    return event?.isTrusted === true && signal.aborted === true && signal.reason === signal;
  } catch {
    return false; // the signals of an emulated browser, which was there before this module
  }
}

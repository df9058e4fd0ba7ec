import { constants } from "node:os";
import { BoughError } from "../errors/bough-error.js";
import { StuckTasksError, type TaskInfo } from "../errors/scope-errors.js";
import { publishStuck, taskInfo } from "../kernel/diagnostics.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import { blockersOf, stuckInfo, stuckTasks } from "../kernel/blockers.js";
import { hasRunningBody, isDaemon } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { cancel } from "../kernel/lifecycle.js";
import { LongTimer } from "../kernel/long-timer.js";
import { onTurn, onUnrefTurn, realIntervals } from "../kernel/platform.js";
import { endDroppedBelow } from "../task/idle-process.js";
import { nodeOf } from "../task/node-of.js";
import { startTask } from "../task/spawn.js";
import type { MainSettings } from "./options.js";
import { ShutdownAnnouncement } from "./shutdown-notice.js";
import { UnawaitedCancellations } from "./unawaited-cancellations.js";
import { MainView, type MainScope } from "./main-scope.js";
import { OutputGuard } from "./output-guard.js";
import { printErrors } from "./print-errors.js";
import { stoppingServers, stopServers, watchServers } from "./servers.js";
import { afterRepeats, expectRepeats, takeRepeat } from "./repeated-signals.js";

/** The minimum time for a process to end by itself, in ms: a few turns of its event loop. */
const MIN_EXIT = 100;
/** How often a scope whose body is done is asked whether only dropped objects keep it open, in ms. */
const IDLE_CHECK = 1_000;

/** One call of `main`: listens to signals while the scope is open, and ends the process. */
export class Run {
  readonly #settings: MainSettings;
  /** Keeps the process alive while the scope waits for a signal: a signal listener does not. */
  readonly #hold = new LongTimer(Infinity, () => {});
  readonly #output: OutputGuard;
  #idleCheck: ReturnType<typeof setInterval> | undefined;
  #node!: ScopeNode;
  /** The last signal. SIGPIPE: the reader has closed the output. */
  #signal: NodeJS.Signals | undefined;
  #draining!: ShutdownAnnouncement;
  /** Set when the shutdown has begun; settles when the servers are down. */
  #servers: Promise<void> | undefined;
  /** The task that waits for the servers. Reports name the requests that it waits for, not the task. */
  #waitsForServers: ScopeNode | undefined;
  #drainTimer: LongTimer | undefined;
  #grace: LongTimer | undefined;
  #unawaited: UnawaitedCancellations | undefined;
  #cancelledAt = 0;
  #ended = false;

  constructor(settings: MainSettings) {
    this.#settings = settings;
    this.#output = new OutputGuard(() => this.#stop("SIGPIPE"));
  }

  get name(): string {
    return this.#settings.name;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Called with the root scope, before its body. */
  open(scope: Scope): MainScope {
    this.#node = nodeOf("main", "scope", scope);
    this.#draining = new ShutdownAnnouncement(this.#node);
    this.#node.onCancel(() => {
      this.#cancelledAt = elapsed();
      this.#startGrace(this.#settings.grace);
      this.#unawaited = new UnawaitedCancellations(this.#node);
      void this.#announce();
    });
    for (const signal of this.#settings.signals) process.on(signal, this.#onSignal);
    watchServers(() => this.#holdForServers());
    return new MainView(this.#node, this.#draining);
  }

  /** Called with the result of the body. From the end of the body on, only the children keep the scope open. */
  watchBody(result: unknown): void {
    const check = (): void => {
      if (!hasRunningBody(this.#node)) void endDroppedBelow(this.#node);
    };
    const watch = (): void => {
      if (this.#ended) return;
      this.#idleCheck = realIntervals.setInterval(check, IDLE_CHECK);
      onTurn(check); // the scope has not processed the result yet
    };
    if (result instanceof Promise) result.then(watch, watch);
    else watch();
  }

  /** Delays the cleanups of a cancelled scope until the servers are down: their requests may use the resources. */
  #holdForServers(): void {
    watchServers(undefined);
    const node = this.#node;
    if (node.state !== "open" && node.state !== "closing") return;
    const hold = (task: Scope): Promise<void> => {
      this.#waitsForServers = nodeOf("main", "scope", task);
      return new Promise((resolve, reject) => {
        task.onCancel(() => {
          if (!node.cancelled) return resolve(); // the body has ended, and its servers continue
          this.#announce().then(resolve, reject);
        });
      });
    };
    startTask(node, hold, { name: "servers", daemon: true }, node.extras?.site);
  }

  /** Announces the shutdown to the callbacks and the servers. */
  #announce(): Promise<void> {
    if (this.#servers !== undefined) return this.#servers;
    let stop: (down: Promise<void>) => void = () => undefined;
    this.#servers = new Promise((resolve) => (stop = resolve)); // first: a callback may cancel the scope
    this.#servers.catch(() => undefined);
    this.#draining.begin();
    stop(stopServers());
    return this.#servers;
  }

  succeed(): void {
    if (this.#signal !== undefined) process.exitCode ??= exitCodeOf(this.#signal);
    else this.forget();
  }

  fail(error: unknown): void {
    const { errors, reason } = this.#node;
    if (error === reason && this.#signal !== undefined) return this.succeed();
    process.exitCode = 1;
    this.#deliver(errors.length > 0 ? errors : [error]);
  }

  /**
   * Called when the scope has settled. The process gets the rest of the grace period if other resources keep it
   * alive.
   */
  end(): void {
    this.#ended = true;
    watchServers(undefined);
    this.#drainTimer?.clear();
    // Otherwise a repeated signal would end the process before its output has arrived and the code after `main` has run.
    afterRepeats(() => {
      for (const signal of this.#settings.signals) process.off(signal, this.#onSignal);
    });
    this.#output.end();
    this.#hold.clear();
    realIntervals.clearInterval(this.#idleCheck);
    if (this.#grace === undefined) return;
    process.channel?.unref(); // it would keep a worker of node:cluster alive after its servers have closed
    const rest = Math.max(this.#settings.grace - this.#elapsed(), MIN_EXIT);
    this.#startGrace(rest, () => this.#forceIfHeld());
    this.#grace.hold(false);
  }

  /**
   * Forces the exit if the process goes on after two turns of its event loop. A process that was not scheduled for a while
   * may have nothing left to do. It ends in the turn that follows. If the time for repeated signals is over at the same
   * moment, it ends in the next one, since that waits for a turn.
   */
  #forceIfHeld(): void {
    let turns = 0;
    const countTurn = (): void => {
      turns += 1;
      if (turns < 2) onUnrefTurn(countTurn);
    };
    onUnrefTurn(countTurn);
    const forceAfterTurns = (): void => {
      if (turns >= 2) return this.#force("the end of its grace period");
      this.#startGrace(1, forceAfterTurns);
      this.#grace?.hold(false);
    };
    forceAfterTurns();
  }

  /** Stops waiting for the end of the process. */
  forget(): void {
    this.#unawaited?.end();
    this.#grace?.clear();
    this.#grace = undefined;
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (takeRepeat() || this.#ended) return;
    if (this.#signal === undefined || this.#signal === "SIGPIPE") return this.#stop(signal);
    this.#signal = signal;
    this.#force(`a second signal, ${signal}`);
  };

  #stop(signal: NodeJS.Signals): void {
    if (signal !== "SIGPIPE") this.#signal = signal;
    else this.#signal ??= signal;
    if (this.#ended) process.exitCode ??= exitCodeOf(signal);
    else this.#drain(signal);
    if (signal !== "SIGPIPE") expectRepeats();
  }

  /** Announces the shutdown, and cancels the scope after the delay. */
  #drain(signal: NodeJS.Signals): void {
    if (this.#cancelledAt === 0) this.#cancelledAt = elapsed();
    void this.#announce();
    const { drainDelay } = this.#settings;
    const stop = (): void => void cancel(this.#node, "shutdown", signal);
    if (drainDelay === 0) return stop();
    this.#drainTimer ??= new LongTimer(drainDelay, stop);
  }

  #startGrace(ms: number, atEnd = () => this.#force("the end of its grace period")): void {
    this.#grace?.clear();
    if (ms !== Infinity) this.#grace = new LongTimer(ms, atEnd);
  }

  #force(cause: string): void {
    try {
      if (!this.#ended) this.#deliver(this.#node.errors);
      const error = this.#ended ? this.#heldError() : this.#stuckError();
      if (error instanceof StuckTasksError) publishStuck(this.#node, error.tasks);
      if (this.#settings.onError !== undefined) this.#deliver([error]);
      else process.stderr.write(`Exit forced by ${cause}. ${error.message}\n`);
    } finally {
      if (this.#ended) process.exit(); // with the current exit code
      process.exit(this.#signal === undefined ? 1 : exitCodeOf(this.#signal));
    }
  }

  #stuckError(): StuckTasksError {
    const held: TaskInfo[] = [];
    for (const server of stoppingServers())
      for (const [node, what] of blockersOf(server)) if (!isDaemon(node)) held.push(stuckInfo(node, what));
    const path = this.#waitsForServers?.path;
    const own = stuckTasks(this.#node).filter((task) => held.length === 0 || task.path !== path);
    return new StuckTasksError(this.#node.path, this.#elapsed(), [...own, ...held]);
  }

  #heldError(): BoughError {
    const resources = [...new Set(process.getActiveResourcesInfo())].join(", ") || "something unknown";
    const message = `Scope ${JSON.stringify(this.name)} has ended, but ${this.#elapsed()} ms after it was cancelled the process is still held by something outside the scope: ${resources}`;
    return new BoughError("BOUGH_PROCESS_HELD", message);
  }

  #elapsed(): number {
    return Math.round(elapsed() - this.#cancelledAt);
  }

  #deliver(errors: readonly unknown[]): void {
    const { onError } = this.#settings;
    if (onError === undefined) return printErrors(errors);
    for (const error of errors) {
      try {
        onError(error, taskInfo(this.#node));
      } catch (thrown) {
        process.exitCode = 1;
        printErrors([error, thrown]); // a hook that throws has not handled the error
      }
    }
  }
}

/** The exit code that a shell reports for a command that this signal has killed. */
function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + (signal === "SIGPIPE" ? 13 : constants.signals[signal]); // missing on Windows
}

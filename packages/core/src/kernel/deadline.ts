import { integrations } from "./integrations.js";
import { createDeadlineReason, type CancelledError } from "../errors/cancelled.js";
import { adjustedInstant, currentClock, expectedInstant, instantIn, type Clock } from "./monotonic-clock.js";
import {
  hasPendingBody,
  isLive,
  isShield,
  isUnderDeadline,
  markDeadline,
  markDeadlineTimer,
  markTimedOut,
} from "./state.js";
import type { Deadline, ScopeNode } from "./node.js";
import { calendarNow } from "./platform.js";
import { cancelWith } from "./lifecycle.js";
import { LongTimer } from "./long-timer.js";
import { updateTimerHold } from "./tree.js";

/** The moment at which a scope expires, on the clock of its timer, not on the calendar. */
class ClockDeadline implements Deadline {
  /** The given duration in ms; `undefined` if a date was given. */
  readonly timeout: number | undefined;
  readonly #clock: Clock;
  readonly #at: number;
  /** In epoch ms. For a duration, it may be `undefined` until it is read; see `expectedInstant`. */
  #date: number | undefined;

  constructor(clock: Clock, left: number, timeout: number | undefined, date: number | undefined) {
    this.timeout = timeout;
    this.#clock = clock;
    this.#at = clock.now() + left;
    this.#date = date;
  }

  /** The remaining ms on its clock; negative after the deadline. */
  get left(): number {
    return this.#at - this.#clock.now();
  }

  /** Whether it has certainly passed, even if its timer has not fired yet. */
  get isOver(): boolean {
    return this.#clock.isExact && this.left <= 0;
  }

  /**
   * In epoch ms: the given date, or the date that follows from the duration. If the system time was changed since, it
   * is adjusted, so that `deadline - Date.now()` stays the remaining time.
   */
  get instant(): number {
    const { left } = this;
    return (this.#date = this.#date === undefined ? instantIn(left) : adjustedInstant(left, this.#date));
  }
}

/**
 * Sets the deadline of a new node: the earlier of a duration and an instant in epoch ms. A deadline that is not earlier
 * than an ancestor's is dropped, so the nearest node with a deadline has the earliest one. If the deadline has passed,
 * the node is cancelled immediately.
 */
export function setDeadline(node: ScopeNode, timeout: number, date: number = Infinity): void {
  const left = date === Infinity ? timeout : Math.min(timeout, date - calendarNow());
  const outer = isShield(node) ? undefined : nearestDeadline(node.parent);
  const outerDeadline = outer?.extras?.settings?.deadline;
  if (outer !== undefined && outerDeadline !== undefined && !isEarlier(left, timeout, date, outerDeadline)) {
    // A busy process may be past it without its timer having fired.
    if (outerDeadline.isOver) expire(outer);
    return;
  }
  const settings = node.ensureSettings();
  markDeadline(node);
  if (left > 0) settings.deadlineTimer = new LongTimer(left, expire, node);
  const clock = currentClock(); // only now: setting the timer may have changed it
  settings.deadline =
    left === timeout
      ? new ClockDeadline(clock, left, timeout, expectedInstant(clock, left))
      : new ClockDeadline(clock, left, undefined, date);
  if (left <= 0) return expire(node);
  markDeadlineTimer(node);
  if (!hasPendingBody(node)) updateTimerHold(node);
}

function isEarlier(left: number, timeout: number, date: number, outer: Deadline): boolean {
  if (left >= outer.left) return false;
  // The calendar has only whole ms: a date that was read from `scope.deadline` must not count as earlier than that
  // deadline.
  return timeout <= left || date < outer.instant;
}

/** The deadline of `node`: its own, or that of the nearest ancestor with one, which is the earliest. */
export function effectiveDeadline(node: ScopeNode): Deadline | undefined {
  return nearestDeadline(node)?.extras?.settings?.deadline;
}

/** Cancels the nearest scope whose deadline has passed by the clock, even if its timer has not fired yet. */
export function checkDeadline(node: ScopeNode): void {
  const owner = nearestDeadline(node);
  if (owner?.extras?.settings?.deadline?.isOver === true) expire(owner);
  integrations.runChecks?.(node);
}

/**
 * Cancels the owner of `node`'s deadline, as its timer would, because the deadline has passed on another clock.
 *
 * @returns Whether this call cancelled a node. `false` without a deadline.
 */
export function expireEarly(node: ScopeNode): boolean {
  const owner = nearestDeadline(node);
  if (owner === undefined || !isLive(owner)) return false;
  expire(owner);
  return true;
}

function nearestDeadline(node: ScopeNode | undefined): ScopeNode | undefined {
  if (node === undefined || !isUnderDeadline(node)) return undefined;
  let at: ScopeNode | undefined = node;
  while (at !== undefined && at.extras?.settings?.deadline === undefined) at = at.parent;
  return at;
}

function expire(node: ScopeNode): void {
  if (!isLive(node)) return;
  const outer = isShield(node) ? node.parent?.reason : undefined;
  const deadline = node.extras?.settings?.deadline as Deadline;
  timeOut(node, outer ?? createDeadlineReason(node.path, deadline.instant, deadline.timeout));
}

/** Cancels `node` because its own timeout has passed. */
export function timeOut(node: ScopeNode, reason: CancelledError): void {
  if (!isLive(node)) return;
  markTimedOut(node);
  cancelWith(node, reason);
}

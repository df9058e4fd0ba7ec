import { wrongType, outOfRange } from "../../errors/validate.js";
import { calendarNow } from "../../kernel/platform.js";

/** The result of the option `delay` of `retry`. */
export type RetryDelay = number | Date | string | null | undefined;

/**
 * The milliseconds until the next attempt that a {@link RetryDelay} means; `undefined` if it means none.
 *
 * @throws {TypeError | RangeError} If it is not a {@link RetryDelay}, or is a number or a date that is not valid.
 */
export function millisecondsOf(value: RetryDelay): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return retryAfter(value.trim());
  const ms: unknown = value instanceof Date ? value.getTime() - calendarNow() : value;
  const requirement = "delay must return a number of ms, a Date, a Retry-After header or undefined";
  if (typeof ms !== "number") throw wrongType("retry", requirement, value);
  if (value instanceof Date && ms < 0) return 0;
  if (ms >= 0 && ms !== Infinity) return ms;
  throw outOfRange("retry", "delay must return a finite number of ms that is not negative", value);
}

/**
 * The value of a `Retry-After` header, in ms. It comes from another server: a value that is neither a number of seconds nor
 * an HTTP date means nothing, and is not an error.
 */
function retryAfter(header: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(header)) {
    const ms = Number(header) * 1_000;
    return ms === Infinity ? undefined : ms;
  }
  // `Date.parse` finds a date in almost any text. All three forms of an HTTP date begin with the day of the week, and all
  // are in GMT, which the form of asctime() does not say.
  if (!/^(Sun|Mon|Tue|Wed|Thu|Fri|Sat)/.test(header)) return undefined;
  const instant = Date.parse(header.endsWith("GMT") ? header : `${header} GMT`);
  return Number.isNaN(instant) ? undefined : Math.max(0, instant - calendarNow());
}

import { isObject } from "../../errors/user-values.js";
import { subjectOf } from "../../kernel/object-marks.js";
import type { ChannelCore } from "./channel-core.js";

type CoreOf = (value: object) => ChannelCore<unknown> | undefined;

let coreOf: CoreOf = () => undefined;

/** Called when a channel is created: a bundle that creates none contains no channels. */
export function setCoreOf(find: CoreOf): void {
  coreOf = find;
}

/** The state of a channel, or of the channel that the facade `value` stands for. `undefined` for any other value. */
export function channelCore(value: unknown): ChannelCore<unknown> | undefined {
  if (!isObject(value)) return undefined;
  const core = coreOf(value);
  if (core !== undefined) return core;
  const subject = subjectOf(value);
  return subject === undefined ? undefined : channelCore(subject);
}

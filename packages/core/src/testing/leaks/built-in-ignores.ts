import { isClosed } from "../../kernel/state.js";
import { scopeOfTimer } from "./recorder.js";
import { isStartedAgain } from "../clock/virtual-timer.js";
import { isBoughFrame, isRunnerFrame, siteOf, type Origin } from "./stack.js";

/** The data of a resource for the built-in ignores. */
export interface HeldResource {
  readonly type: string;
  readonly resource: object;
  /** Unknown if it was made before the recording began. */
  readonly origin: Origin | undefined;
}

interface BuiltInIgnore {
  readonly why: string;
  /** @param others - All resources that keep the process alive at this moment. */
  matches(held: HeldResource, others: readonly Pick<HeldResource, "type" | "origin">[]): boolean;
}

/** The resources that are never leaks, each with the reason, so that a maintainer can judge whether to remove it. */
const builtInIgnores: readonly BuiltInIgnore[] = [
  {
    why: "stdin, stdout and stderr belong to the process: Node opens them when they are first touched, and never closes them. Stdin that is being read is a leak all the same.",
    matches: ({ type, resource }) => {
      if (!/^(?:PIPEWRAP|TTYWRAP|TCPWRAP|TTY|ReadStream|WriteStream|Socket)$/.test(type)) return false;
      const fd = fileDescriptorOf(resource);
      return fd === 1 || fd === 2 || (fd === 0 && !isRead(resource));
    },
  },
  {
    why: "the IPC channel is how the parent process, such as the pool of a test runner, talks to this one",
    matches: ({ resource, origin }) =>
      origin === undefined &&
      process.channel !== undefined &&
      "pendingHandle" in resource &&
      "sockets" in resource,
  },
  {
    why: "a test runner's own timers, such as the one for the time-out of the test, are gone when it is through",
    matches: ({ origin }) => {
      if (origin === undefined) return false;
      const [first] = origin.frames;
      if (first !== undefined) return isRunnerFrame(first);
      return origin.internal.some((frame) => frame.includes("node:internal/test_runner/"));
    },
  },
  {
    why: "bough's own timers and ports belong to a scope, which is reported in their place; not one whose scope has ended, nor one that it has started for somebody else",
    matches: ({ origin, resource }) => {
      if (origin?.frames[0] === undefined || !isBoughFrame(origin.frames[0])) return false;
      if (isStartedAgain(resource)) return false;
      const scope = scopeOfTimer(resource);
      return scope === undefined || !isClosed(scope);
    },
  },
  {
    why: "the pipes to a child process go when it does, and it is reported in their place",
    matches: ({ type, origin }, others) => {
      if (type !== "PIPEWRAP" || origin === undefined) return false;
      const site = siteOf(origin.frames);
      return others.some(
        (other) => other.type === "PROCESSWRAP" && site === siteOf(other.origin?.frames ?? []),
      );
    },
  },
  {
    why: "Node runs module customisation hooks (those of tsx, for one) in its own thread, for the rest of the process",
    matches: ({ type, origin }) =>
      type === "WORKER" &&
      (origin?.internal.some((frame) => frame.includes("node:internal/modules/")) ?? false),
  },
];

export function isIgnored(
  held: HeldResource,
  others: readonly Pick<HeldResource, "type" | "origin">[],
): boolean {
  return builtInIgnores.some((ignore) => ignore.matches(held, others));
}

function fileDescriptorOf(resource: object): number | undefined {
  const { fd, _handle: handle } = resource as { fd?: number; _handle?: { fd?: number } | null };
  return handle?.fd ?? fd;
}

function isRead(resource: object): boolean {
  const { reading, _handle: handle } = resource as {
    reading?: boolean;
    _handle?: { reading?: boolean } | null;
  };
  return (handle?.reading ?? reading) === true;
}

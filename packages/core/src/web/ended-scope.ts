import { ignore, type Observer } from "../kernel/observer.js";

/** The observer of a scope that ended when the handler returned. It explains that to those who use the scope later. */
export const endedAtReturn: Observer = {
  resolve: ignore,
  reject: ignore,
  closedHint:
    "it ended when the handler returned. If a stream uses it later, read its signal before you return the response",
};

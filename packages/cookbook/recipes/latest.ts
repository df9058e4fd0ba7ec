import { spawn, type Scope, type Task, type Worker } from "bough";

/** Returns a function that runs one task of `owner` at a time: each call cancels the task of the previous call. */
export function createLatest(owner: Scope): <T>(worker: Worker<T>) => Task<T> {
  let current: Task<unknown> | undefined;
  return (worker) => {
    current?.cancel("superseded");
    const task = spawn(owner, worker);
    current = task;
    return task;
  };
}

// const search = createLatest(scope);
// input.oninput = () => show(search(({ signal }) => fetch(`/search?q=${input.value}`, { signal })));

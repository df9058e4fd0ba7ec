/** A function, or an object that finds its name when it is read. */
export interface Named {
  readonly name: string;
}

/** The default name of a scope that runs `worker`. */
export function nameOf(worker: Named): string {
  if (worker === last) return lastName;
  const name = readName(worker);
  if (remembers) {
    last = worker;
    lastName = name;
  }
  return name;
}

function readName(worker: Named): string {
  try {
    const name: unknown = worker.name;
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // A getter or a proxy: a name that can't be read must not keep a scope from settling.
  }
  return "anonymous";
}

// A program that starts many tasks with one function starts them in one go, and reading the name of a function is a sixth of a
// `spawn`. So the last name is remembered, but not for long: until then the closure of the function stays alive.

let last: Named | undefined;
let lastName = "";
let remembers = false;

/** Remembers the worker whose name was read last, until {@link endNameCache}. */
export function startNameCache(): void {
  remembers = true;
}

export function endNameCache(): void {
  remembers = false;
  last = undefined;
}

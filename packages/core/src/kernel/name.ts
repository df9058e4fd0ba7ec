/** The default name of a scope that runs `worker`. */
// oxlint-disable-next-line typescript/no-unsafe-function-type -- only its name is read
export function nameOf(worker: Function): string {
  try {
    const name: unknown = worker.name;
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // A getter or a proxy: a name that can't be read must not keep a scope from settling.
  }
  return "anonymous";
}

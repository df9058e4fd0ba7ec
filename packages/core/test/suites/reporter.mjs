// What node:test says, a line of JSON for each test; for run.mjs.

// oxlint-disable-next-line import/no-default-export -- what node:test looks for
export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, nesting, file, skip, todo, details } = data;
    const error = details?.error;
    const message = String(error?.cause?.stack ?? error?.message ?? "");
    const passed = type === "test:pass" || todo !== undefined;
    yield `${JSON.stringify({ name, nesting, file, skipped: skip !== undefined, passed, message })}\n`;
  }
}

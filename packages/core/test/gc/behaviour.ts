/* oxlint-disable eslint/no-console -- its output is what the test reads */
import {
  close,
  createScope,
  selfCleaning,
  sleep,
  spawn,
  type OrphanInfo,
  type Scope,
} from "../../src/index.js";
import { setTracing } from "../../src/kernel/call-site.js";
import { collect, collectUntil, macrotask } from "./probe.js";

/** The effects of dropping a scope on that scope and on others. */
export interface Behaviour {
  readonly log: readonly string[];
  readonly info: OrphanInfo | undefined;
  readonly site: string | undefined;
  readonly thrownByOnOrphan: unknown;
  readonly warnings: readonly string[];
  readonly notOrphaned: readonly string[];
  readonly heldState: string;
}

export async function observeBehaviour(): Promise<Behaviour> {
  const log: string[] = [];
  let info: OrphanInfo | undefined;
  dropWorking(log, (found) => (info = found));
  await collectUntil(() => log.includes("cleaned up"));

  let site: string | undefined;
  setTracing(true);
  dropIdle((found) => (site = found.createdAt));
  setTracing(false);
  await collectUntil(() => site !== undefined);

  let thrown: unknown;
  dropWithThrowingPolicy((error) => (thrown = error));
  await collectUntil(() => thrown !== undefined);

  const notOrphaned: string[] = [];
  const held = createScope({ name: "held", onOrphan: () => notOrphaned.push("held") });
  await closeAndDrop(notOrphaned);
  for (let round = 0; round < 4; round++) await collect();

  const warnings = await warningsOf(dropWithDefaults);
  return {
    log,
    info,
    site,
    thrownByOnOrphan: (thrown as Error | undefined)?.message,
    warnings,
    notOrphaned: [...notOrphaned], // `held` goes when this returns
    heldState: held.state,
  };
}

function dropWorking(log: string[], onOrphan: (info: OrphanInfo) => void): void {
  const handle = createScope({ name: "outer", onOrphan });
  const inner = async (scope: Scope): Promise<void> => {
    scope.onCancel((reason) => log.push(`cancelled: ${reason.kind}, ${reason.scope}`));
    try {
      await sleep(scope, 3_600_000);
    } finally {
      log.push("worker stopped");
    }
  };
  spawn(handle, inner);
  handle.defer(() => log.push("cleaned up"));
}

function dropIdle(onOrphan: (info: OrphanInfo) => void): void {
  createScope({ onOrphan });
}

function dropWithThrowingPolicy(onError: (error: unknown) => void): void {
  createScope({
    onError,
    onOrphan: () => {
      throw new Error("from onOrphan");
    },
  });
}

async function closeAndDrop(notOrphaned: string[]): Promise<void> {
  const onOrphan = ({ name }: OrphanInfo): unknown => notOrphaned.push(name);
  const closed = createScope({ name: "closed", onOrphan });
  await closed.close();
  const joined = createScope({ name: "joined", onOrphan });
  await joined.join();
  const cancelled = createScope({ name: "cancelled", onOrphan });
  cancelled.cancel();
  await close(selfCleaning(() => ({}), { name: "self-cleaning", onOrphan }));
}

function dropWithDefaults(): void {
  createScope({ name: "forgotten" });
}

interface WarningSource {
  on: (event: "warning", listener: (warning: { message: string; code?: string }) => void) => void;
}

/** The warnings after `act`: of the process, or on the console if there is no process. */
async function warningsOf(act: () => void): Promise<string[]> {
  const warnings: string[] = [];
  const { process } = globalThis as { process?: WarningSource };
  const warn = console.warn;
  if (process === undefined) console.warn = (message: string) => warnings.push(message);
  else {
    process.on("warning", ({ message, code }) => {
      if (code === "BOUGH_ORPHAN") warnings.push(message);
    });
  }
  act();
  await collectUntil(() => warnings.length > 0);
  await collect();
  await macrotask();
  console.warn = warn;
  return warnings;
}

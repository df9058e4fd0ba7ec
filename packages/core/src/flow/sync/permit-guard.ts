import { isPermitDenied, recordAcquiredPermit } from "../../kernel/draining-rules.js";
import { semaphoreGuard, type PermitGuard } from "./semaphore.js";
import { WaitQueue, type QueuedWait } from "./wait-queue.js";

/** Lets semaphores give no permits for new work: called once this process has a scope that may drain. */
export function guardSemaphores(): void {
  semaphoreGuard.current = guard;
}

type Queue = WaitQueue<QueuedWait<Disposable>>;

/** The waits of daemons whose scope drains, by the queue in which they would wait otherwise. They get no permit. */
const heldBack = new WeakMap<Queue, Queue>();

const guard: PermitGuard = {
  denies: isPermitDenied,
  acquired: recordAcquiredPermit,
  holdBack,
  next(queue) {
    let next = queue.shift();
    for (; next?.owner !== undefined && isPermitDenied(next.owner); next = queue.shift())
      holdBack(queue, next);
    if (next?.owner !== undefined) recordAcquiredPermit(next.owner);
    return next;
  },
};

function holdBack(queue: Queue, wait: QueuedWait<Disposable>): void {
  let held = heldBack.get(queue);
  if (held === undefined) heldBack.set(queue, (held = new WaitQueue()));
  held.push(wait);
}

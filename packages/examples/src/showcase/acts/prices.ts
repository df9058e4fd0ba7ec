import { createScope, sleep, type Scope } from "bough";
import type { Act, Check } from "../act.js";
import { openComparison } from "../prices/compare.js";
import { sendCrowd, type Sight } from "../prices/crowd.js";
import { Ledger } from "../prices/ledger.js";
import { openShops, type Pace, type ShopName } from "../prices/shops.js";
import { PricesView } from "../prices/view.js";
import { plan, type Ending, type Schedule, type Visit } from "../prices/visits.js";
import type { Paint } from "../terminal/paint.js";

export interface PricesOptions {
  readonly schedule?: Partial<Schedule>;
  readonly pace?: Pace;
}

/** A client every 60 ms, for about twelve seconds. */
const defaultSchedule: Schedule = { visits: 192, every: 60 };
const defaultPace: Pace = { fast: 80, slow: 350, chunk: 180, failing: 250 };

/** Milliseconds until what is still there counts as left over. */
const PATIENCE = 2_000;

/** The answer that the client sees for each ending. */
const sightOf: Readonly<Record<Ending, Sight>> = {
  answered: 200,
  deadline: 504,
  failure: 502,
  disconnected: "hung up",
};

/** Act one: a price-comparison server, its upstream shops, and clients that do not always wait. */
export function createPricesAct(paint: Paint, options: PricesOptions = {}): Act {
  const visits = plan({ ...defaultSchedule, ...options.schedule });
  const ledger = new Ledger();
  const view = new PricesView(ledger, paint, visits.length);
  let left: Leftovers = { requests: NaN, tasks: NaN, sockets: NaN };

  return {
    name: "prices",
    title: "Prices",
    introduction: [
      "For every request a server asks several shops over HTTP, in one scope per request.",
      "Some clients hang up, some deadlines pass, one shop fails. What is still out then",
      "is cancelled, down to its socket, and awaited before the request has ended.",
    ],

    async play(scope) {
      await using street = createScope(scope, { name: "shops" });
      const shops = await openShops(street, options.pace ?? defaultPace, ledger);
      await using comparison = createScope(scope, { name: "comparison" });
      const url = await openComparison(comparison, shops, ledger);
      await sendCrowd(scope, url, visits, ledger);
      // Server and shops are still open. So whatever is left now would be a leak.
      await untilQuiet(scope, ledger);
      left = leftovers(ledger);
    },

    frame: (size) => view.frame(size),
    line: () => view.line(),
    summary: () => ["", ...view.shops(), ""],

    checks: () => [
      ...endingChecks(visits, ledger),
      ...callChecks(visits, ledger),
      { claim: "requests still running", expected: 0, found: left.requests },
      { claim: "tasks still alive", expected: 0, found: left.tasks },
      { claim: "upstream sockets still open", expected: 0, found: left.sockets },
    ],
  };
}

interface Leftovers {
  readonly requests: number;
  readonly tasks: number;
  readonly sockets: number;
}

function leftovers(ledger: Ledger): Leftovers {
  return {
    requests: ledger.running.size,
    tasks: ledger.total((books) => books.tasks),
    sockets: ledger.total((books) => books.sockets()),
  };
}

/** The news that a client has gone, and the end of a socket, take a moment to get to the other side. */
async function untilQuiet(scope: Scope, ledger: Ledger): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (Object.values(leftovers(ledger)).some((count) => count > 0) && performance.now() < deadline) {
    await sleep(scope, 5);
  }
}

/** Every request ended as it had to, for the server and for its client. */
function endingChecks(visits: readonly Visit[], ledger: Ledger): Check[] {
  return (Object.keys(sightOf) as Ending[]).flatMap((ending) => {
    const expected = visits.filter((visit) => visit.ending === ending).length;
    const sight = sightOf[ending];
    const what = ending === "answered" ? "requests answered" : `requests cancelled (${ending})`;
    const seen = sight === "hung up" ? "clients that hung up" : `clients that got status ${sight}`;
    return [
      { claim: what, expected, found: ledger.endings.get(ending) ?? 0 },
      { claim: seen, expected, found: ledger.sights.get(sight) ?? 0 },
    ];
  });
}

/** The ends of the calls to the shop that never answers, and to the one that fails. */
function callChecks(visits: readonly Visit[], ledger: Ledger): Check[] {
  const silent = ledger.shop("silent");
  const failing = ledger.shop("failing");
  const planned = (shop: ShopName): number => visits.filter(({ shops }) => shops.includes(shop)).length;
  const cancelled = (["deadline", "disconnected"] as const).map((kind) => silent.ended.get(kind) ?? 0);
  return [
    {
      claim: "calls to the silent shop cancelled",
      expected: planned("silent"),
      found: cancelled.reduce((sum, count) => sum + count),
    },
    { claim: "calls the silent shop saw hung up", expected: silent.served, found: silent.hungUp },
    {
      claim: "calls to the failing shop failed",
      expected: planned("failing"),
      found: failing.ended.get("failed") ?? 0,
    },
    {
      // A call that is cancelled has not failed, wherever it was at that moment.
      claim: "calls to other shops failed",
      expected: 0,
      found: ledger.total((books) => books.ended.get("failed") ?? 0) - (failing.ended.get("failed") ?? 0),
    },
  ];
}

// The top of the page: the warnings, and the numbers.

import { byId, count, make, plain, rate, setAttribute, setText } from "./dom.js";

/** @param select - Called with the id of the scope that a warning is about. */
export function showWarnings({ warnings, blockedIn, partial }, select) {
  const items = [];
  if (blockedIn !== undefined) items.push(make("li", {}, `The event loop is blocked in ${plain(blockedIn)}`));
  for (const { title, detail, id } of warnings) {
    const text = plain(title);
    const link =
      id === undefined ? text : make("button", { type: "button", onclick: () => select(id) }, text);
    items.push(
      make("li", {}, link, ...detail.slice(0, 6).map((line) => make("div", { class: "faint" }, plain(line)))),
    );
  }
  if (partial === true)
    items.push(
      make(
        "li",
        { class: "aside" },
        "So many scopes may be wrong that only the first 1,000 of each kind are checked.",
      ),
    );
  const list = byId("trouble");
  const words = items.map((item) => item.textContent).join("\n");
  // Elements with unchanged text stay: a screen reader would announce them again, and the user may be about to click one.
  if (list.dataset.words === words || list.contains(document.activeElement)) return;
  list.dataset.words = words;
  list.replaceChildren(...items);
}

const late = (isLate) => (isLate ? "late" : "");
const bad = (isBad) => (isBad ? "bad" : "");

/** The numbers that can show a problem come first. */
const cards = [
  [
    "loop delay p99",
    ({ loopDelay }) => loopDelay && `${loopDelay.p99} ms`,
    ({ loopDelay }) => bad(loopDelay?.p99 >= 50),
  ],
  ["loop delay p50", ({ loopDelay }) => loopDelay && `${loopDelay.p50} ms`],
  ["hold up others", ({ counts }) => count(counts.holding), ({ counts }) => bad(counts.holding > 0)],
  ["cancelling", ({ counts }) => count(counts.cancelling), ({ counts }) => late(counts.cancelling > 0)],
  ["failures", ({ counts }) => count(counts.failures), ({ counts }) => late(counts.failures > 0)],
  ["queued", ({ counts }) => count(counts.queued)],
  ["requests", ({ counts }) => count(counts.requests)],
  ["tasks", ({ counts }) => count(counts.tasks)],
  ["scopes", ({ counts }) => count(counts.scopes)],
  ["created / s", ({ rates }) => rates && rate(rates.created)],
  ["settled / s", ({ rates }) => rates && rate(rates.settled)],
];

export function showCounts(frame) {
  const shown = cards.flatMap(([label, value, kind]) => {
    const text = value(frame);
    return text === undefined ? [] : [[label, text, kind?.(frame) ?? ""]];
  });
  const list = byId("counts");
  while (list.children.length > shown.length) list.lastChild.remove();
  shown.forEach(([label, text, kind], index) => {
    const card = list.children[index] ?? list.appendChild(make("div", {}, make("dt"), make("dd")));
    setAttribute(card, "class", kind);
    setText(card.firstChild, label);
    setText(card.lastChild, text);
  });
}

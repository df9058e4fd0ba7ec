// One scope: why it is alive, and everything else about it.

import { byId, duration, make, plain } from "./dom.js";
import { ask } from "./server.js";

/** Shows a scope. `isWanted` says whether it is still the one to show; `select` and `close` are what its buttons do. */
export async function showDetail(id, { isWanted, select, close }) {
  const box = byId("detail");
  const response = await ask(`node?id=${id}`);
  if (response === undefined || !isWanted()) return;
  const node = response.content;
  const button = make("button", { type: "button", "aria-label": "Close", onclick: close }, "×");
  const wasHidden = box.hidden;
  box.hidden = false;
  byId("panes").classList.add("with-detail");
  if (!response.ok) {
    const gone = make(
      "p",
      { class: "gone state-late" },
      response.status === 404 ? "It has ended." : plain(node.error ?? node),
    );
    if (box.childElementCount === 0) box.append(make("h2", {}, `Scope ${id}`, button));
    box.querySelector(".gone")?.remove();
    box.append(gone);
    return;
  }
  const focused = box.contains(document.activeElement) ? document.activeElement.textContent : undefined;
  box.replaceChildren(
    make("h2", {}, make("span", {}, plain(node.name)), button),
    make(
      "div",
      { class: "faint" },
      [node.kind, node.state, `${duration(node.age)} old`].filter(Boolean).join(" · "),
    ),
    make("h3", {}, "Why it is alive"),
    make("ul", {}, ...node.why.map((text) => make("li", {}, plain(text)))),
    make("h3", {}, "Facts"),
    make(
      "dl",
      {},
      ...node.facts.flatMap(([label, value]) => [make("dt", {}, label), make("dd", {}, plain(value))]),
    ),
    make("h3", {}, "Path, from the root"),
    make("ol", {}, ...node.path.map((above) => pathItem(above, select))),
  );
  if (wasHidden) box.scrollIntoView({ block: "nearest" });
  if (focused !== undefined)
    [...box.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
}

function pathItem(above, select) {
  const link = make(
    "button",
    { type: "button", class: "link", onclick: () => select(above.id) },
    plain(above.name),
  );
  const left =
    above.left === undefined
      ? ""
      : above.left >= 0
        ? ` · ${duration(above.left)} left`
        : " · over its deadline";
  return make("li", {}, link, make("span", { class: "faint" }, ` ${above.state}${left}`));
}

export function hideDetail() {
  const box = byId("detail");
  box.hidden = true;
  byId("panes").classList.remove("with-detail");
  box.replaceChildren();
}

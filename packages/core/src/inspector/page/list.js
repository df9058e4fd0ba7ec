// A table of which only the rows in view exist. Rows and cells are kept and changed, not replaced: a pointer may be pressed on
// one of them, or the focus be on it.

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { make, setAttribute, setText } from "./dom.js";

/** In pixels, as in page.css. */
const ROW = 27;

export class List {
  #scroller;
  #table;
  #head = make("thead");
  #body = make("tbody");
  #elements = new Map();
  #rows = [];
  #columns = [];
  #selected;
  #virtualizer;

  /** @param act - Called with the row that was clicked, and the part of it that was clicked. */
  constructor(scroller, table, act) {
    this.#scroller = scroller;
    this.#table = table;
    table.replaceChildren(this.#head, this.#body);
    this.#body.addEventListener("click", (event) => {
      const element = event.target.closest("tr[data-key]");
      const row = this.#rows.find(({ key }) => key === element?.dataset.key);
      if (row !== undefined) act(row, event.target.closest("[data-part]")?.dataset.part);
    });
    this.#virtualizer = new Virtualizer({ ...this.#options(), onChange: () => this.#draw() });
    this.#virtualizer._didMount();
    this.#virtualizer._willUpdate();
  }

  get rows() {
    return this.#rows;
  }

  get selected() {
    return this.#selected;
  }

  /** @param table - Its name, its columns (label and class), and its rows: key, cells, and attributes. */
  show({ name, role, columns, rows, selected }) {
    if (columns !== this.#columns) {
      this.#columns = columns;
      const cells = columns.map(([label, kind = ""]) => make("th", { scope: "col", class: kind }, label));
      this.#head.replaceChildren(make("tr", {}, ...cells));
      this.#body.replaceChildren();
      this.#elements.clear();
      this.#scroller.scrollTop = 0;
    }
    setAttribute(this.#table, "role", role);
    setAttribute(this.#table, "aria-label", name);
    setAttribute(this.#table, "aria-rowcount", rows.length + 1);
    this.#rows = rows;
    this.#selected = selected;
    this.#virtualizer.setOptions({ ...this.#virtualizer.options, ...this.#options() });
    this.#virtualizer._willUpdate();
    this.#draw();
  }

  /** Selects a row, brings it into view, and gives it the focus. */
  focus(index) {
    const row = this.#rows[index];
    if (row === undefined) return;
    this.#selected = row.key;
    this.#virtualizer.scrollToIndex(index, { align: "auto" });
    this.#draw();
    this.#elements.get(row.key)?.focus({ preventScroll: true });
  }

  #options() {
    return {
      count: this.#rows.length,
      getScrollElement: () => this.#scroller,
      estimateSize: () => ROW,
      overscan: 12,
      // The head of the table covers the first rows.
      scrollPaddingStart: ROW + 4,
      paddingEnd: 4,
      getItemKey: (index) => this.#rows[index]?.key ?? index,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      initialRect: { width: 0, height: 800 },
    };
  }

  #draw() {
    const items = this.#virtualizer.getVirtualItems().filter(({ index }) => index < this.#rows.length);
    const first = items[0]?.index ?? 0;
    const end = (items.at(-1)?.index ?? -1) + 1;
    const wanted = new Set();
    for (let index = first; index < end; index++) wanted.add(this.#rows[index].key);
    const focused = document.activeElement?.closest("tr[data-key]");
    for (const [key, element] of this.#elements) {
      if (wanted.has(key)) continue;
      // Removing the focused element would lose the focus.
      if (element === focused && this.#body.contains(element)) this.#scroller.focus({ preventScroll: true });
      element.remove();
      this.#elements.delete(key);
    }
    // Padding takes the space of the rows that are not in view.
    const { style } = this.#table.parentElement;
    style.paddingTop = `${first * ROW}px`;
    style.paddingBottom = `${(this.#rows.length - end) * ROW}px`;
    const current = this.#rows.some(({ key }) => key === this.#selected)
      ? this.#selected
      : this.#rows[first]?.key;
    let at = this.#body.firstElementChild;
    for (let index = first; index < end; index++) {
      const row = this.#rows[index];
      let element = this.#elements.get(row.key);
      if (element === undefined) this.#elements.set(row.key, (element = make("tr", { "data-key": row.key })));
      this.#update(element, row, index, row.key === current);
      if (at === element) at = at.nextElementSibling;
      else this.#body.insertBefore(element, at);
    }
    if (focused !== null && document.activeElement === this.#scroller)
      this.#elements.get(this.#selected)?.focus({ preventScroll: true });
  }

  #update(element, row, index, isCurrent) {
    setAttribute(element, "aria-rowindex", index + 2);
    setAttribute(element, "tabindex", isCurrent ? "0" : "-1");
    setAttribute(element, "aria-selected", row.key === this.#selected ? "true" : "false");
    for (const name of ["aria-level", "aria-expanded"]) setAttribute(element, name, row.attributes?.[name]);
    while (element.children.length > row.cells.length) element.lastChild.remove();
    row.cells.forEach((cell, at) => {
      const box = element.children[at] ?? element.appendChild(make("td"));
      setAttribute(box, "class", [this.#columns[at][1], cell.kind].filter(Boolean).join(" "));
      setAttribute(box, "title", cell.title ?? cell.text);
      if (row.cells.length < this.#columns.length) box.colSpan = this.#columns.length;
      else if (box.colSpan !== 1) box.colSpan = 1;
      if (cell.bars !== undefined) return showBars(box, cell.bars);
      box.style.paddingLeft = cell.indent === undefined ? "" : `${cell.indent}px`;
      if (cell.parts === undefined) setText(box, cell.text ?? "");
      else showParts(box, cell.parts);
    });
  }
}

/** Pieces of text of one cell, each with a class and the action of a click. */
function showParts(box, parts) {
  if (box.children.length !== box.childNodes.length) box.replaceChildren();
  while (box.children.length > parts.length) box.lastChild.remove();
  parts.forEach(([kind, text, part], index) => {
    const piece = box.children[index] ?? box.appendChild(make("span"));
    setAttribute(piece, "class", kind);
    setAttribute(piece, "data-part", part);
    setText(piece, text);
  });
}

/** Bars from 0 to 1 of the width of a cell. */
function showBars(box, bars) {
  let strip = box.firstElementChild;
  if (strip?.className !== "bars") box.replaceChildren((strip = make("div", { class: "bars" })));
  while (strip.children.length > bars.length) strip.lastChild.remove();
  bars.forEach(({ from, to, kind, lane = 0 }, index) => {
    const bar = strip.children[index] ?? strip.appendChild(make("span"));
    setAttribute(bar, "class", kind);
    bar.style.left = `${100 * from}%`;
    bar.style.width = `max(2px, ${100 * (to - from)}%)`;
    bar.style.setProperty("--lane", String(lane));
  });
}

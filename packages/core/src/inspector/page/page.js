// The page of the inspector. No library and no build. Names of scopes are hostile: they become text nodes, and nothing else.

const byId = (id) => document.getElementById(id);

/**
 * What the page shows.
 *
 * @type {Record<string, any>}
 */
const state = {
  view: "tree",
  filter: "",
  /** The newest frame that is shown. */
  frame: undefined,
  tree: undefined,
  toggled: new Set(),
  pages: new Map(),
  /** The key of the selected row, and the id of the scope that is shown in detail. */
  selected: undefined,
  detail: undefined,
  paused: false,
};

// ---- small parts

/** Makes an element. `content` is text or elements, never markup. */
function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...content.filter((part) => part !== undefined && part !== ""));
  return element;
}

const number = new Intl.NumberFormat("en");
const count = (value) => number.format(value);

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

function duration(ms) {
  for (const [name, size] of units) {
    const amount = ms / size;
    if (amount >= 1) return `${amount >= 10 ? Math.floor(amount) : Math.floor(amount * 10) / 10} ${name}`;
  }
  return `${Math.max(0, Math.floor(ms))} ms`;
}

/** A name may contain line breaks and characters that change the direction of the text around it. */
function plain(text) {
  const shown = String(text).replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
  return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
}

function stateClass(row) {
  if (row.holding) return "state-bad";
  return row.state.startsWith("cancelling") ? "state-late" : "";
}

// ---- first what is wrong

function showFrame() {
  const { frame } = state;
  if (frame === undefined) return;
  const { counts, loopDelay } = frame;
  const trouble = [];
  if (frame.blockedIn !== undefined)
    trouble.push(make("li", {}, `The event loop is blocked in ${plain(frame.blockedIn)}`));
  for (const { title, detail, id } of frame.warnings) {
    const text = plain(title);
    const link =
      id === undefined ? text : make("button", { type: "button", onclick: () => select(id) }, text);
    trouble.push(
      make("li", {}, link, ...detail.slice(0, 6).map((line) => make("div", { class: "faint" }, plain(line)))),
    );
  }
  if (frame.partial === true)
    trouble.push(
      make(
        "li",
        { class: "aside" },
        "So many scopes may be wrong that only the first 1,000 of each kind are checked.",
      ),
    );
  const list = byId("trouble");
  // A person may be about to press a button of the list.
  if (!list.contains(document.activeElement)) list.replaceChildren(...trouble);
  const cards = [
    ["scopes", count(counts.scopes)],
    ["tasks", count(counts.tasks)],
    ["requests", count(counts.requests)],
    ["queued", count(counts.queued)],
    ["cancelling", count(counts.cancelling), counts.cancelling > 0 ? "late" : ""],
    ["hold up others", count(counts.holding), counts.holding > 0 ? "bad" : ""],
    ["failures", count(counts.failures), counts.failures > 0 ? "late" : ""],
  ];
  if (loopDelay !== undefined) {
    cards.push(["loop delay p50", `${loopDelay.p50} ms`]);
    cards.push(["loop delay p99", `${loopDelay.p99} ms`, loopDelay.p99 >= 50 ? "bad" : ""]);
  }
  byId("counts").replaceChildren(
    ...cards.map(([label, value, kind = ""]) =>
      make("div", { class: kind }, make("dt", {}, label), make("dd", {}, value)),
    ),
  );
}

// ---- the lists

const columns = {
  tree: [
    ["Scope"],
    ["State"],
    ["Waits for"],
    ["Age", "number"],
    ["Deadline", "number wide"],
    ["Spawned at", "wide"],
  ],
  groups: [
    ["Alive", "number"],
    ["Group"],
    ["What they do"],
    ["Settled/s", "number"],
    ["Life p50", "number wide"],
    ["p95", "number wide"],
    ["p99", "number wide"],
    ["Oldest", "number"],
    ["Spawned at", "wide"],
  ],
  requests: [
    ["Request"],
    ["Status", "number"],
    ["State"],
    ["Waits for"],
    ["Age", "number"],
    ["Deadline", "number wide"],
  ],
};

function showTable() {
  const { view, frame, tree } = state;
  const rows =
    view === "tree"
      ? (tree?.rows ?? [])
      : filtered(view === "groups" ? frame?.groups : state.requests?.running);
  const head = make(
    "tr",
    {},
    ...columns[view].map(([label, kind = ""]) => make("th", { scope: "col", class: kind }, label)),
  );
  const draw = { tree: treeRow, groups: groupRow, requests: requestRow }[view];
  const scroller = byId("scroller");
  const { scrollTop } = scroller;
  const hadFocus = byId("table").contains(document.activeElement);
  const body = make("tbody", {}, ...rows.map(draw));
  const table = byId("table");
  table.setAttribute("role", view === "tree" ? "treegrid" : "grid");
  table.setAttribute("aria-label", view);
  table.replaceChildren(make("thead", {}, head), body);
  scroller.scrollTop = scrollTop;
  const current = body.querySelector('[aria-selected="true"]') ?? body.firstElementChild;
  current?.setAttribute("tabindex", "0");
  if (hadFocus) current?.focus({ preventScroll: true });
  showNote(rows.length);
}

function filtered(rows = []) {
  const wanted = state.filter.toLowerCase();
  return rows
    .filter((row) =>
      `${row.name}\n${row.state ?? row.doing}\n${row.wait}\n${row.site}`.toLowerCase().includes(wanted),
    )
    .map((row) => ({ ...row, key: row.key ?? String(row.id) }));
}

function showNote(shown) {
  const { view, filter, tree, frame } = state;
  let text = "";
  if (view === "tree" && filter !== "" && tree !== undefined) text = `${count(tree.total)} found`;
  else if (view === "groups" && frame?.moreGroups > 0)
    text = `The largest 100 of ${count(100 + frame.moreGroups)} groups.`;
  else if (view === "requests" && frame !== undefined && shown === 0) text = "No request is running.";
  else if (view === "requests" && frame?.counts.requests > shown && filter === "")
    text = `The oldest ${shown} of ${count(frame.counts.requests)} requests.`;
  if (byId("note").textContent !== text) byId("note").textContent = text;
}

function rowElement(row, properties, ...cells) {
  return make(
    "tr",
    {
      "data-key": row.key,
      tabindex: "-1",
      "aria-selected": state.selected === row.key ? "true" : "false",
      ...properties,
    },
    ...cells,
  );
}

const cell = (text, kind = "", title = text) =>
  make("td", { class: kind, title: title === "" ? undefined : title }, text);

function treeRow(row) {
  const level = { "aria-level": row.depth + 1 };
  if (row.type === "more") {
    const text =
      row.left < 0
        ? "Too many rows are open. Close some, or use the filter."
        : `${count(row.left)} more: show the next 200`;
    const first = make("td", { class: "more", colspan: 6 }, text);
    indentTo(first, row.depth);
    return rowElement(
      { key: `more:${row.key}` },
      { ...level, "data-more": row.key, onclick: () => more(row) },
      first,
    );
  }
  const twist = make(
    "span",
    {
      class: "twist",
      "aria-hidden": "true",
      onclick: (event) => {
        event.stopPropagation();
        toggle(row);
      },
    },
    row.children > 0 ? (row.open ? "▾" : "▸") : "",
  );
  const name = make("td", { title: plain(row.name) }, twist);
  if (row.type === "group") name.append(make("span", { class: "count" }, `${count(row.children)} × `));
  name.append(plain(row.name));
  const kind = row.type === "node" && row.kind !== "task" ? row.kind : "";
  if (kind !== "" && kind !== row.name) name.append(make("span", { class: "faint" }, ` ${kind}`));
  if (row.type === "node" && row.children > 0 && !row.open)
    name.append(make("span", { class: "faint" }, ` · ${count(row.children)} below`));
  if (row.note !== undefined) name.append(make("span", { class: "faint" }, ` · ${plain(row.note)}`));
  indentTo(name, row.depth);
  const expandable = row.children > 0 ? { "aria-expanded": row.open ? "true" : "false" } : {};
  return rowElement(
    row,
    { ...level, ...expandable, onclick: () => (row.type === "group" ? toggle(row) : select(row.id)) },
    name,
    cell(stateText(row), stateClass(row)),
    cell(plain(row.wait)),
    cell(row.kind === "background" ? "" : duration(row.age), "number"),
    deadline(row),
    cell(plain(row.site), "faint wide"),
  );
}

function indentTo(element, depth) {
  element.style.paddingLeft = `${8 + 16 * Math.min(depth, 24)}px`;
}

function stateText(row) {
  const parts = [row.state];
  if (row.holding) parts.push("holds up others");
  if (row.status !== undefined) parts.push(`status ${row.status}`);
  if (row.failures > 0) parts.push(row.failures === 1 ? "1 failure" : `${count(row.failures)} failures`);
  return parts.filter((part) => part !== "").join(" · ");
}

function deadline(row) {
  if (row.left === undefined) return cell("", "number wide");
  return row.left >= 0
    ? cell(`${duration(row.left)} left`, "number wide")
    : cell(`${duration(-row.left)} over`, "number wide state-bad");
}

function groupRow(row) {
  return rowElement(
    row,
    {
      onclick: () => {
        setFilter(row.site === "" ? row.name.split("#")[0] : row.site);
        setView("tree");
      },
    },
    cell(count(row.count), "number"),
    cell(plain(row.name)),
    cell(plain(row.doing)),
    cell(row.rates === undefined ? "" : String(row.rates.settled), "number"),
    ...[0, 1, 2].map((index) => cell(row.life === undefined ? "" : duration(row.life[index]), "number wide")),
    cell(duration(row.oldest), "number"),
    cell(plain(row.site), "faint wide"),
  );
}

function requestRow(row) {
  return rowElement(
    row,
    { onclick: () => select(row.id) },
    cell(plain(row.name)),
    cell(row.status === undefined ? "" : String(row.status), "number"),
    cell(row.state, stateClass(row)),
    cell(plain(row.wait)),
    cell(duration(row.age), "number"),
    deadline(row),
  );
}

// ---- one scope

async function showDetail() {
  const id = state.detail;
  const box = byId("detail");
  if (id === undefined) {
    box.hidden = true;
    byId("panes").classList.remove("with-detail");
    box.replaceChildren();
    return;
  }
  const response = await ask(`node?id=${id}`);
  if (response === undefined || state.detail !== id) return;
  const node = response.content;
  const close = make("button", { type: "button", "aria-label": "Close", onclick: () => hideDetail() }, "×");
  box.hidden = false;
  byId("panes").classList.add("with-detail");
  if (!response.ok) {
    const gone = make("p", {}, response.status === 404 ? "It has ended." : plain(node.error ?? node));
    if (box.childElementCount === 0) box.append(make("h2", {}, `Scope ${id}`, close));
    box.querySelector(".gone")?.remove();
    gone.className = "gone state-late";
    box.append(gone);
    return;
  }
  const focused = box.contains(document.activeElement) ? document.activeElement.textContent : undefined;
  box.replaceChildren(
    make("h2", {}, make("span", {}, plain(node.name)), close),
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
    make(
      "ol",
      {},
      ...node.path.map((above) => {
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
      }),
    ),
  );
  if (focused !== undefined)
    [...box.querySelectorAll("button")].find((button) => button.textContent === focused)?.focus();
}

function hideDetail() {
  state.detail = undefined;
  void showDetail();
  focusRow();
}

// ---- what the person does

function select(id) {
  state.selected = String(id);
  state.detail = id;
  showTable();
  void showDetail();
}

function toggle(row) {
  if (row.children === 0) return;
  state.selected = row.key;
  if (state.toggled.has(row.key)) state.toggled.delete(row.key);
  else state.toggled.add(row.key);
  void loadTree();
}

function more(row) {
  if (row.left < 0) return;
  state.pages.set(row.key, (state.pages.get(row.key) ?? 1) + 1);
  void loadTree();
}

function setView(view) {
  state.view = view;
  for (const name of Object.keys(columns))
    byId(`tab-${name}`).setAttribute("aria-selected", String(name === view));
  byId("view").setAttribute("aria-labelledby", `tab-${view}`);
  showTable();
  if (view === "tree") void loadTree();
  if (view === "requests") void loadRequests();
}

function setFilter(text) {
  state.filter = text;
  if (byId("filter").value !== text) byId("filter").value = text;
  state.pages.delete("");
  if (state.view === "tree") void loadTree();
  else showTable();
}

function setPaused(paused) {
  state.paused = paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Resume" : "Pause";
  if (!paused) refresh();
}

const rowElements = () => [...byId("table").querySelectorAll("tbody tr")];

function focusRow(element = byId("table").querySelector('tbody tr[tabindex="0"]')) {
  if (!element) return;
  for (const other of byId("table").querySelectorAll('tr[tabindex="0"]'))
    other.setAttribute("tabindex", "-1");
  for (const other of byId("table").querySelectorAll('tr[aria-selected="true"]'))
    other.setAttribute("aria-selected", "false");
  element.setAttribute("tabindex", "0");
  element.setAttribute("aria-selected", "true");
  state.selected = element.dataset.key;
  element.focus();
}

function move(step) {
  const rows = rowElements();
  const at = rows.findIndex((row) => row.dataset.key === state.selected);
  focusRow(rows[Math.min(rows.length - 1, Math.max(0, at + step))]);
}

function fold(open) {
  const row = state.tree?.rows.find(({ key, type }) => key === state.selected && type !== "more");
  if (row === undefined || state.view !== "tree") return;
  if (row.children > 0 && row.open !== open) return toggle(row);
  if (open) return move(1);
  const rows = state.tree.rows;
  const parent = rows.slice(0, rows.indexOf(row)).findLast(({ depth }) => depth < row.depth);
  if (parent !== undefined) focusRow(rowElements().find(({ dataset }) => dataset.key === parent.key));
}

const keys = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(20),
  PageUp: () => move(-20),
  Home: () => move(-Infinity),
  End: () => move(Infinity),
  ArrowRight: () => fold(true),
  ArrowLeft: () => fold(false),
  Enter: () =>
    rowElements()
      .find(({ dataset }) => dataset.key === state.selected)
      ?.click(),
  Escape: () => (state.detail === undefined ? setFilter("") : hideDetail()),
  "/": () => byId("filter").focus(),
  p: () => setPaused(!state.paused),
  1: () => setView("tree"),
  2: () => setView("groups"),
  3: () => setView("requests"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (target.id === "filter") {
    if (event.key !== "Escape" && event.key !== "ArrowDown" && event.key !== "Enter") return;
    if (event.key === "Escape") setFilter("");
    event.preventDefault();
    return focusRow();
  }
  if (event.key === "Enter" && target.tagName === "BUTTON") return;
  const act = keys[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
});

for (const name of Object.keys(columns)) byId(`tab-${name}`).addEventListener("click", () => setView(name));
byId("pause").addEventListener("click", () => setPaused(!state.paused));
byId("filter").addEventListener("input", (event) => setFilter(event.target.value));

// ---- what the server sends

function setConnection(kind, text) {
  const box = byId("connection");
  box.dataset.state = kind;
  if (box.textContent !== text) box.textContent = text;
}

/** Returns `undefined` if there is no complete answer. */
async function ask(address) {
  try {
    const response = await fetch(address);
    const { ok, status, headers } = response;
    const isJson = headers.get("content-type")?.startsWith("application/json");
    return { ok, status, content: await (isJson ? response.json() : response.text()) };
  } catch {
    return undefined; // the stream of events says that the server is gone
  }
}

let loading = false;
let again = false;

/** Loads the visible rows. One request at a time: what has changed meanwhile is asked for after it. */
async function loadTree() {
  again = true;
  if (loading) return;
  loading = true;
  while (again) {
    again = false;
    const query = new URLSearchParams();
    if (state.filter !== "") query.set("find", state.filter);
    query.set("toggled", [...state.toggled].slice(-300).join(","));
    query.set(
      "pages",
      [...state.pages]
        .slice(-100)
        .map(([key, pages]) => `${key}:${pages}`)
        .join(","),
    );
    const response = await ask(`tree?${query}`);
    if (response?.ok !== true) continue;
    state.tree = response.content;
    if (state.view === "tree") showTable();
  }
  loading = false;
}

async function loadRequests() {
  const response = await ask("requests");
  if (response?.ok !== true) return;
  state.requests = response.content;
  if (state.view === "requests") showTable();
}

/** The newest frame; it is shown when the page is not paused. */
let newest;

function refresh() {
  if (newest === undefined) return;
  state.frame = newest;
  showFrame();
  if (state.view === "tree") void loadTree();
  else if (state.view === "requests") void loadRequests();
  else showTable();
  if (state.detail !== undefined) void showDetail();
}

function connect() {
  const events = new EventSource("events");
  events.addEventListener("message", (event) => {
    newest = JSON.parse(event.data);
    setConnection("live", state.paused ? "paused" : "live");
    if (!state.paused && !document.hidden) refresh();
  });
  events.addEventListener("trouble", (event) => setConnection("lost", plain(JSON.parse(event.data))));
  events.addEventListener("error", () => {
    setConnection("lost", "no answer, trying again");
    // After an answer that is not a stream the browser does not try again: the server was gone, or has no place.
    if (events.readyState === EventSource.CLOSED) void explain().then(() => setTimeout(connect, 2_000));
  });
}

async function explain() {
  const response = await ask("./");
  if (response === undefined) return;
  if (response.ok) setConnection("lost", "as many pages are open as may be");
  else setConnection("lost", plain(response.content));
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !state.paused) refresh();
});
connect();

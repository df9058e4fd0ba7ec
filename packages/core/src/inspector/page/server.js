// Requests to the server, and its stream of events.

import { byId, plain, setText } from "./dom.js";

/** Sends a GET request. Returns `undefined` if there is no complete answer. */
export async function ask(address) {
  try {
    const response = await fetch(address);
    const { ok, status, headers } = response;
    const isJson = headers.get("content-type")?.startsWith("application/json");
    return { ok, status, content: await (isJson ? response.json() : response.text()) };
  } catch {
    return undefined; // the stream of events says that the server is gone
  }
}

/** Makes a function that sends a request, one at a time: a call during a request sends one more after the answer. */
export function question(address, answer) {
  let isAsking = false;
  let again = false;
  return async () => {
    again = true;
    if (isAsking) return;
    isAsking = true;
    while (again) {
      again = false;
      const response = await ask(address());
      if (response?.ok === true) answer(response.content);
    }
    isAsking = false;
  };
}

export function setConnection(kind, text) {
  const box = byId("connection");
  box.dataset.state = kind;
  setText(box, text);
}

/** Calls `receive` with each frame, and with how many bytes it was. */
export function connect(receive) {
  const events = new EventSource("events");
  events.addEventListener("message", (event) => receive(JSON.parse(event.data), event.data.length));
  events.addEventListener("problem", (event) => setConnection("lost", plain(JSON.parse(event.data))));
  events.addEventListener("error", () => {
    setConnection("lost", "no answer, trying again");
    // The browser does not reconnect after an answer that is not a stream: the server has ended, or accepts no more pages.
    if (events.readyState === EventSource.CLOSED)
      void explain().then(() => setTimeout(() => connect(receive), 2_000));
  });
}

async function explain() {
  const response = await ask("./");
  if (response === undefined) return;
  if (response.ok) setConnection("lost", "as many pages are open as may be");
  else setConnection("lost", plain(response.content));
}

// Small parts of the page. The names of scopes are untrusted input, so they only become text nodes.

import { formatDuration } from "../../inspect/duration.ts"; // from JavaScript, esbuild finds no .ts by the name of a .js

export const byId = (id) => document.getElementById(id);

/** Makes an element. `content` is text or elements, never markup. */
export function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...content.filter((part) => part !== undefined && part !== ""));
  return element;
}

/** Changes the text of an element without replacing its text node, on which a pointer may be pressed. */
export function setText(element, text) {
  const { firstChild } = element;
  if (firstChild === null || firstChild.nodeType !== Node.TEXT_NODE || firstChild !== element.lastChild) {
    if (element.textContent !== text) element.textContent = text;
  } else if (firstChild.nodeValue !== text) firstChild.nodeValue = text;
}

/** Sets an attribute, or removes it. */
export function setAttribute(element, name, value) {
  if (value === undefined || value === false || value === "") element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

const number = new Intl.NumberFormat("en");
export const count = (value) => number.format(value);

/** Formats a rate: `0`, `0.3`, `12`, `3,400`. */
export const rate = (value) => (value < 10 ? String(Math.round(value * 10) / 10) : count(Math.round(value)));

/** `+3`, `−2`, or nothing. */
export function change(value) {
  if (value === 0) return "";
  return value > 0 ? `+${count(value)}` : `−${count(-value)}`;
}

/** As in the reports, with fractions of a few milliseconds: `0.4 ms`, `1.5 s`. */
export function duration(ms) {
  if (ms > 0 && ms < 10) return `${ms < 0.1 ? Math.ceil(ms * 100) / 100 : Math.round(ms * 10) / 10} ms`;
  return formatDuration(ms);
}

/** The time of day: `14:03:59`. */
export const timeOfDay = (at) => new Date(at).toLocaleTimeString("en-GB");

/** A name may contain line breaks and characters that change the direction of the text around it. */
export function plain(text) {
  const shown = String(text).replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
  return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
}

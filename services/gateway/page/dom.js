// Building elements and writing numbers. All text goes in as text nodes: nothing from the catalogue is ever parsed as HTML.

import { picturePath } from "./api.js";

/** An element with attributes, listeners (`on: {click}`), and children (nodes, strings, or nothing). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [kind, listener] of Object.entries(value)) element.addEventListener(kind, listener);
    else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Text in which `words between backticks` are set as code. */
export function withCode(text) {
  return text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));
}

export const byId = (id) => document.getElementById(id);

/** A price; the currency is the shop's, so only the dollar of the demo's data set is assumed. */
export function money(cents) {
  return Number.isFinite(cents) ? `$${(cents / 100).toFixed(2)}` : "";
}

/** Seconds as a shopper reads them: 0.42 s, 6.1 s, 75 s. */
export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  return `${value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0)}\u00a0s`;
}

/** An age: just now, 12 s, 4 min, 3 h, 2 days. */
export function age(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 1) return "under 1 s";
  if (value < 100) return `${Math.round(value)} s`;
  if (value < 6000) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} days`;
}

/** A version or request id, short enough to read: its last six characters. */
export function short(id) {
  if (!id) return "none";
  return id.length <= 12 ? id : `…${id.slice(-6)}`;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

function hue(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

/** Shouted catalogue words (SOFT DRINKS) as a page writes them (Soft drinks); other spellings stay as they are. */
export function calm(text) {
  if (!text || text !== text.toUpperCase()) return text ?? "";
  return text.charAt(0) + text.slice(1).toLowerCase();
}

/** The item's picture, or a tile in the colour of its category with its first letter where there is none. */
export function picture(card, { alt = "", eager = false } = {}) {
  const name = card?.category || card?.title || "?";
  const tile = el("span", { class: "picture", style: { "--hue": hue(name) } });
  const letter = () => tile.replaceChildren(el("span", { class: "letter", "aria-hidden": "true" }, name.charAt(0).toUpperCase()));
  if (!card?.picture) {
    letter();
    return tile;
  }
  const image = el("img", { src: picturePath(card.picture), alt, loading: eager ? "eager" : "lazy", decoding: "async" });
  image.addEventListener("error", letter, { once: true });
  tile.append(image);
  return tile;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let toastTimer = 0;

/** A short message at the bottom of the page; `tone` "bad" for an error. */
export function toast(message, tone = "good") {
  const box = byId("toast");
  clearTimeout(toastTimer);
  box.dataset.tone = tone;
  box.replaceChildren(...withCode(message));
  box.hidden = false;
  if (box.showPopover) {
    box.popover = "manual";
    box.hidePopover();
    box.showPopover();
  }
  toastTimer = setTimeout(() => {
    box.hidden = true;
    if (box.showPopover) box.hidePopover();
  }, tone === "bad" ? 7000 : 3500);
}

/** Says an error of the API aloud: its title and its detail. A fault of the page itself goes on to the console. */
export function say(problem) {
  if (!problem.title) throw problem;
  toast([problem.title, problem.detail].filter(Boolean).join(". "), "bad");
}

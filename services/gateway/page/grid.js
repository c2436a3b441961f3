// The grid of product cards. Cards are kept by item id, so that a changed list moves the cards that stay and fades in the
// new ones; a card always bears the request id of the answer that is on the page.

import { calm, el, money, picture } from "./dom.js";
import { sourceName } from "./words.js";

const MOVE_MS = 520;
const calmMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** The words of where a product came from, each with the dot of its source. */
export function sourceChip({ sources, known }) {
  return el("span", { class: "why", title: sources.map((source) => sourceName(source, known)).join(", ") },
    sources.map((source) => el("span", { "data-source": source }, sourceName(source, known))));
}

function card(shown, open, add) {
  const { item } = shown;
  const title = el("button", { type: "button", class: "card-title", "aria-haspopup": "dialog", on: { click: open } }, item.title);
  return el("li", { class: "card", "data-item-id": shown.item_id },
    el("div", { class: "card-picture" },
      picture(item, { eager: shown.position < 8 }),
      el("button", { type: "button", class: "card-add", "aria-label": `Put ${item.title} in the basket`, on: { click: add } }, "+")),
    el("p", { class: "brand" }, item.brand || calm(item.category) || "\u00a0"),
    el("h3", {}, title),
    el("div", { class: "card-foot" },
      el("span", { class: "price" }, money(item.price_cents)),
      sourceChip(shown)));
}

/** A grid in `list`; `onOpen(shown)` and `onAdd(shown)` get the item as it is shown now, with its `request_id`. */
export function createGrid(list, { onOpen, onAdd }) {
  let cards = new Map();

  function place(shown) {
    const kept = cards.get(shown.item_id);
    const entry = kept ?? { node: null, shown };
    const news = JSON.stringify([shown.item, shown.sources, shown.known === 0]);
    if (entry.news !== news) {
      const node = card(shown, () => onOpen(entry.shown), () => onAdd(entry.shown));
      entry.node?.replaceWith(node);
      entry.node = node;
      entry.news = news;
    }
    entry.shown = shown;
    return entry;
  }

  function animate(before, focused) {
    const changed = { moved: 0, entered: 0 };
    for (const [id, { node }] of cards) {
      const from = before.get(id);
      const to = node.getBoundingClientRect();
      const shift = from && [from.left - to.left, from.top - to.top];
      if (from && Math.abs(shift[0]) + Math.abs(shift[1]) < 2) continue;
      changed[from ? "moved" : "entered"] += 1;
      node.classList.remove("changed");
      if (!from) requestAnimationFrame(() => node.classList.add("changed"));
      if (calmMotion.matches) continue;
      const frames = from
        ? [{ transform: `translate(${shift[0]}px, ${shift[1]}px)` }, { transform: "none" }]
        : [{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }];
      node.animate(frames, { duration: MOVE_MS, easing: "cubic-bezier(.2, .8, .2, 1)" });
    }
    if (focused && list.contains(focused)) focused.focus({ preventScroll: true });
    return changed;
  }

  return {
    /** Shows an answer's items; returns how many cards moved and how many are new. */
    show(answer, { moving = false } = {}) {
      const before = new Map([...cards].map(([id, { node }]) => [id, node.getBoundingClientRect()]));
      const focused = document.activeElement;
      const known = answer.features?.events_in_history;
      const entries = answer.items.map((ranked) => [ranked.item_id, place({ ...ranked, request_id: answer.request_id, known })]);
      cards = new Map(entries);
      list.classList.remove("waiting");
      list.replaceChildren(...entries.map(([, { node }]) => node));
      return moving ? animate(before, focused) : { moved: 0, entered: 0 };
    },
    /** Grey cards while the first answer is on its way. */
    wait(number) {
      cards = new Map();
      list.classList.add("waiting");
      list.replaceChildren(...Array.from({ length: number }, () =>
        el("li", { class: "card", "aria-hidden": "true" },
          el("div", { class: "card-picture bone" }), el("p", { class: "bone line short" }), el("p", { class: "bone line" }))));
    },
    clear() {
      cards = new Map();
      list.classList.remove("waiting");
      list.replaceChildren();
    },
    mark(itemId) {
      for (const [id, { node }] of cards) node.classList.toggle("open", id === itemId);
    },
  };
}

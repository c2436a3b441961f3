// The product sheet: a dialog beside the list (wide pages leave the list in reach) or over it (narrow ones), with the
// picture, the two buttons, the reasons, and what is similar.

import { recommend } from "./api.js";
import { age, byId, calm, count, el, money, picture, say, short } from "./dom.js";
import { sourceChip } from "./grid.js";
import { sessionId, userId } from "./shopper.js";
import { sourceReason } from "./words.js";

const BESIDE = matchMedia("(min-width: 1200px)");
const SIMILAR = 6;

function why(shown, answer) {
  const reasons = shown.reasons?.length ? shown.reasons : shown.sources.map(sourceReason);
  const features = answer?.features;
  const known = features?.events_in_history
    ? `with ${count(features.events_in_history, "event")} of your history, the newest ${age(features.age_s)} old`
    : "without any history of yours";
  const place = Number.isInteger(shown.position) ? `Place ${shown.position + 1}` : "Chosen";
  const model = answer?.model_version ? `, ranked by model ${short(answer.model_version)}` : "";
  return el("details", { class: "reasons" },
    el("summary", {}, "Why this?"),
    el("ul", {}, reasons.map((reason) => el("li", {}, reason))),
    el("p", { class: "fine" }, `${place}${model}, ${known}.`),
    sourceChip(shown));
}

async function fillSimilar(row, shown, onOpen) {
  const body = { user_id: userId(), session_id: sessionId(), similar_to: [shown.item_id], exclude: [shown.item_id],
    limit: SIMILAR, explain: true };
  const answer = await recommend(body);
  if (!row.isConnected) return;
  row.replaceChildren(...answer.items.map((ranked) => {
    const one = { ...ranked, request_id: answer.request_id, known: answer.features?.events_in_history };
    return el("button", { type: "button", class: "mini", on: { click: () => onOpen(one, answer) } },
      picture(one.item), el("span", {}, one.item.title), el("span", { class: "price" }, money(one.item.price_cents)));
  }));
  row.parentElement.hidden = answer.items.length === 0;
}

/** The sheet of the page. `onDeed(kind, shown)` for add_to_cart and purchase, `onOpen(shown, answer)` for a similar item. */
export function createSheet({ onDeed, onOpen, onClose }) {
  const sheet = byId("sheet");
  let opener = null;

  function close() {
    sheet.close();
  }
  sheet.addEventListener("close", () => {
    onClose();
    if (opener?.isConnected) opener.focus({ preventScroll: true });
    opener = null;
  });
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet) close();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && sheet.open && !document.querySelector("dialog:modal")) close();
  });
  BESIDE.addEventListener("change", () => sheet.open && close());

  function done(button, words) {
    const before = button.textContent;
    button.textContent = words;
    button.disabled = true;
    setTimeout(() => {
      button.textContent = before;
      button.disabled = false;
    }, 1600);
  }

  function show(shown, answer) {
    const { item } = shown;
    const row = el("div", { class: "minis" }, Array.from({ length: 3 }, () => el("span", { class: "mini bone" })));
    const deed = (kind, words) => ({ click: (event) => {
      done(event.currentTarget, words);
      onDeed(kind, shown);
    } });
    sheet.replaceChildren(el("div", { class: "sheet-inner" },
      el("button", { type: "button", class: "close", "aria-label": "Close the product", on: { click: close } }, "×"),
      el("div", { class: "sheet-picture" }, picture(item, { alt: item.title, eager: true })),
      el("p", { class: "brand" }, [item.brand, calm(item.category)].filter(Boolean).join(" · ")),
      el("h2", { id: "sheet-title", tabindex: "-1" }, item.title),
      el("p", { class: "sheet-price" }, money(item.price_cents), item.in_stock ? null : el("span", { class: "fine" }, " out of stock")),
      el("div", { class: "actions" },
        el("button", { type: "button", class: "main", disabled: !item.in_stock, on: deed("add_to_cart", "In your basket") }, "Add to basket"),
        el("button", { type: "button", class: "second", disabled: !item.in_stock, on: deed("purchase", "Bought") }, "Buy now")),
      el("div", { id: "sheet-clock", class: "sheet-clock", "aria-live": BESIDE.matches ? "off" : "polite" }),
      why(shown, answer),
      el("section", { class: "similar" }, el("h3", {}, "Goes with it"), row)));
    if (!sheet.open) {
      opener = document.activeElement;
      if (BESIDE.matches) sheet.show();
      else sheet.showModal();
    }
    sheet.scrollTop = 0;
    byId("sheet-title").focus({ preventScroll: true });
    fillSimilar(row, shown, onOpen).catch((problem) => {
      row.parentElement.hidden = true;
      say(problem);
    });
  }

  return { show, close: () => sheet.open && close(), isOpen: () => sheet.open };
}

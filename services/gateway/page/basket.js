// The basket: its count in the header and its dialog, where it can be bought. Each line bought is one purchase event.

import { closeBox, openBox } from "./box.js";
import { byId, count, el, money, picture } from "./dom.js";
import { basket, keepBasket } from "./shopper.js";

const pieces = (lines) => lines.reduce((sum, line) => sum + line.quantity, 0);

/** Writes the count into the header. */
export function drawBasketCount() {
  const number = pieces(basket());
  const badge = byId("basket-count");
  badge.hidden = number === 0;
  badge.textContent = String(number);
  byId("basket-button").setAttribute("aria-label", number ? `Basket, ${count(number, "product")}` : "Basket, empty");
}

/** Opens the basket; `onBuy(lines)` when the shopper buys what is in it. */
export function openBasket(onBuy) {
  const lines = basket();
  if (!lines.length) {
    openBox("Your basket", el("p", { class: "fine" }, "Nothing in it yet."));
    return;
  }
  const total = lines.reduce((sum, line) => sum + line.quantity * (line.item.price_cents ?? 0), 0);
  const remove = (line) => {
    keepBasket(lines.filter((each) => each !== line));
    drawBasketCount();
    openBasket(onBuy);
  };
  openBox("Your basket",
    el("ul", { class: "lines" }, lines.map((line) => el("li", {},
      picture(line.item, { eager: true }),
      el("span", { class: "line-title" }, line.item.title, line.quantity > 1 && el("small", {}, ` × ${line.quantity}`)),
      el("span", { class: "price" }, money(line.quantity * (line.item.price_cents ?? NaN))),
      el("button", { type: "button", class: "quiet", "aria-label": `Take ${line.item.title} out`, on: { click: () => remove(line) } }, "×")))),
    el("p", { class: "total" }, el("span", {}, "Total"), el("strong", {}, money(total))),
    el("div", { class: "actions" }, el("button", { type: "button", class: "main", on: { click: () => {
      keepBasket([]);
      drawBasketCount();
      closeBox();
      onBuy(lines);
    } } }, "Buy")));
}

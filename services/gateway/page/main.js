// The page's flow: ask for a list, show it, post what the shopper does, and follow each deed with the clock.

import { listItems, postEvent, recommend, search } from "./api.js";
import { openAddProduct } from "./addproduct.js";
import { drawBasketCount, openBasket } from "./basket.js";
import { boxIsOpen, closeBox } from "./box.js";
import { startClock, stopClock } from "./clock.js";
import { byId, calm, count, el, say, toast, withCode } from "./dom.js";
import { createFinder } from "./finder.js";
import { createGrid } from "./grid.js";
import { drawTrail, measured, remember, startPulse } from "./pulse.js";
import { createSheet } from "./sheet.js";
import { addToBasket, interaction, sessionId, userId } from "./shopper.js";
import { createSwitcher } from "./shoppers.js";
import { degradation } from "./words.js";

const LIMIT = 24;
const CHIPS = 14;
const RETRY_MS = 5000;

const view = { category: null, query: null, answer: null, turn: 0 };
let catalogue = { total: null, categories: [] };
let retryTimer = 0;

const grid = createGrid(byId("grid"), { onOpen: (shown) => open(shown, view.answer), onAdd: (shown) => act("add_to_cart", shown) });
const sheet = createSheet({ onDeed: act, onOpen: open, onClose: () => grid.mark(null) });
const finder = createFinder({ onSearch: (query) => go({ query }), onClear: () => go({}), busy: boxIsOpen });

function ask({ category, query }) {
  const body = { user_id: userId(), session_id: sessionId(), limit: LIMIT, explain: true };
  if (query) {
    if (query.text) body.text = query.text;
    if (query.photo) body.picture_base64 = query.photo.base64;
    return search(body);
  }
  return recommend(category ? { ...body, category } : body);
}

function subtitle(answer) {
  if (view.query) return `${count(answer.items.length, "product")}, the best match first`;
  const known = answer.features?.events_in_history ?? 0;
  if (!known) return "You are new here: this is what other shoppers like. Open a product and watch the list follow you.";
  const from = known === 1 ? "the one product that you opened" : `your last ${known} looks and purchases`;
  return `From ${from}. It follows each click.`;
}

function drawHead(answer) {
  const { query, category } = view;
  const wanted = query && [query.text && `“${query.text}”`, query.photo && "like your picture"].filter(Boolean).join(", ");
  const title = wanted || calm(category) || "Recommended for you";
  byId("list-title").textContent = title.charAt(0).toUpperCase() + title.slice(1);
  byId("list-sub").replaceChildren(answer ? subtitle(answer) : "\u00a0",
    query ? el("button", { type: "button", class: "link", on: { click: () => go({}) } }, "Back to your recommendations") : "");
}

function drawBanner(answer) {
  const banner = byId("banner");
  const reasons = (answer.degraded_reasons ?? []).filter((reason) => reason !== "empty_catalogue");
  banner.hidden = !answer.degraded || !reasons.length;
  if (!banner.hidden) {
    banner.replaceChildren(el("b", {}, "Part of the shop is away."), el("ul", {}, reasons.map((reason) =>
      el("li", { title: reason }, `${degradation(reason)}.`))), el("small", {}, "This page asks again every few seconds."));
  }
  clearTimeout(retryTimer);
  if (answer.degraded) retryTimer = setTimeout(retry, RETRY_MS);
}

async function retry() {
  const { turn } = view;
  if (document.hidden) {
    retryTimer = setTimeout(retry, RETRY_MS);
    return;
  }
  const answer = await ask(view).catch(() => null);
  if (turn !== view.turn) return;
  if (!answer) {
    retryTimer = setTimeout(retry, RETRY_MS);
    return;
  }
  const recovered = view.answer?.degraded && !answer.degraded;
  show(answer, true);
  if (recovered) toast("Every part of the shop is back.");
  if (recovered || !catalogue.total) loadCategories();
}

function drawState(answer) {
  const state = byId("state");
  const bare = answer.items.length === 0 && (answer.degraded_reasons?.includes("empty_catalogue") || catalogue.total === 0);
  state.hidden = answer.items.length > 0;
  byId("list-head").hidden = bare;
  if (bare) {
    state.replaceChildren(el("h2", {}, "The shelves are empty"),
      el("p", {}, "Load a catalogue: ", el("code", {}, "millstream load FILE")),
      el("p", { class: "fine" }, "JSONL, CSV or Parquet, pictures by path beside it. Or begin with one product."),
      el("button", { type: "button", class: "main", on: { click: addProduct } }, "Add a product"));
  } else if (!state.hidden) {
    state.replaceChildren(el("h2", {}, "Nothing to show"), el("p", {}, view.query
      ? "No product matches. Try fewer words, or another picture."
      : "Nothing here that is in stock and that you have not bought."));
  }
}

function show(answer, moving = false) {
  view.answer = answer;
  remember(answer.items);
  measured(answer);
  drawHead(answer);
  drawBanner(answer);
  drawState(answer);
  return grid.show(answer, { moving });
}

function drawProblem(problem) {
  grid.clear();
  const state = byId("state");
  state.hidden = false;
  state.replaceChildren(el("h2", {}, problem.title), problem.detail && el("p", {}, withCode(problem.detail)),
    el("button", { type: "button", class: "main", on: { click: () => go(view) } }, "Try again"));
  byId("banner").hidden = true;
}

/** Shows another list: `{query}` a search, `{category}` one category, `{}` the start. */
async function go({ query = null, category = null }) {
  Object.assign(view, { query, category, answer: null, turn: view.turn + 1 });
  const { turn } = view;
  clearTimeout(retryTimer);
  if (!query) finder.clear();
  drawHead(null);
  drawChips();
  byId("state").hidden = true;
  byId("list-head").hidden = false;
  grid.wait(LIMIT / 2);
  try {
    const answer = await ask(view);
    if (turn !== view.turn) return;
    show(answer);
    drawTrail(answer, openAgain);
  } catch (problem) {
    if (turn === view.turn) drawProblem(problem);
  }
}

function follow(kind, shown, posting) {
  const { turn, query } = view;
  startClock({
    kind, shown, posting,
    listName: query ? "your recommendations" : "this list",
    ask: () => ask(turn === view.turn && !query ? view : {}),
    show: (answer) => {
      drawTrail(answer, openAgain);
      if (turn === view.turn && !query) return show(answer, true);
      measured(answer);
      return { moved: 0, entered: 0 };
    },
  }).catch(say);
}

function open(shown, answer, kind = "click") {
  grid.mark(shown.item_id);
  sheet.show(shown, answer);
  follow(kind, shown, postEvent(interaction(kind, shown)));
}

function openAgain(shown) {
  open(shown, null, "view");
}

function act(kind, shown) {
  if (kind === "add_to_cart") {
    addToBasket(shown);
    drawBasketCount();
    follow(kind, shown, postEvent(interaction(kind, shown, { quantity: 1 })));
    return;
  }
  buy([{ ...shown, quantity: 1 }]);
}

function buy(lines) {
  const posts = lines.map((line) => {
    const price = Number.isInteger(line.item.price_cents) ? { price_cents: line.item.price_cents } : {};
    return postEvent(interaction("purchase", line, { quantity: line.quantity, ...price }));
  });
  posts.slice(0, -1).forEach((post) => post.catch(say));
  follow("purchase", lines.at(-1), posts.at(-1));
  toast("Bought, in this demo without money. It leaves your recommendations.");
}

function drawChips() {
  const chip = (name, label, number) => el("button", {
    type: "button", class: "chip", "aria-pressed": String(!view.query && view.category === name),
    on: { click: () => go({ category: name }) },
  }, label, number ? el("small", {}, number.toLocaleString("en")) : "");
  byId("chips").hidden = catalogue.categories.length === 0;
  byId("chips").replaceChildren(chip(null, "For you"),
    ...catalogue.categories.slice(0, CHIPS).map(({ name, count: number }) => chip(name, calm(name), number)));
}

async function loadCategories() {
  const answer = await listItems({ limit: 1 }).catch(() => null);
  if (!answer) return;
  const categories = Object.entries(answer.categories ?? {}).map(([name, number]) => ({ name, count: number }));
  categories.sort((one, other) => other.count - one.count || one.name.localeCompare(other.name));
  catalogue = { total: answer.total ?? null, categories: categories.filter(({ name }) => name) };
  drawChips();
  if (view.answer) drawState(view.answer);
}

function addProduct() {
  openAddProduct(catalogue.categories, (photo, text) => {
    closeBox();
    go({ query: photo ? { text: "", photo } : { text, photo: null } });
  });
}

function startAs() {
  stopClock();
  sheet.close();
  drawBasketCount();
  go({});
}

byId("add-product").addEventListener("click", addProduct);
byId("basket-button").addEventListener("click", () => openBasket(buy));
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  sheet.close();
  go({});
});
createSwitcher(startAs);
startPulse();
loadCategories();
startAs();

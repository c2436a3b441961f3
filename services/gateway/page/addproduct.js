// "Add a product": title, category, price and photo go to the catalogue, and a clock runs until a search by that photo
// (or by the title, without a photo) finds the product.

import { Problem, deleteItem, putItem, search } from "./api.js";
import { boxIsOpen, openBox } from "./box.js";
import { calm, el, money, picture, seconds, sleep, withCode } from "./dom.js";
import { readPhoto } from "./photo.js";
import { sessionId } from "./shopper.js";

const EVERY_MS = 400;
const WITHIN_MS = 60000;

function newId(title) {
  const words = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "product";
  return `${words}-${Date.now().toString(36)}`;
}

async function untilFound(itemId, wanted, startedAt) {
  while (boxIsOpen() && performance.now() - startedAt < WITHIN_MS) {
    const answer = await search({ ...wanted, session_id: sessionId(), limit: 24 }).catch((problem) => {
      if (problem.status === 503) return { items: [] };
      throw problem;
    });
    const found = answer.items.find((ranked) => ranked.item_id === itemId);
    if (found) return { found, afterS: (performance.now() - startedAt) / 1000 };
    await sleep(EVERY_MS);
  }
  return null;
}

function field(label, input, hint) {
  return el("label", { class: "field" }, el("span", {}, label), input, hint && el("small", {}, hint));
}

async function publish(form, photo, status, onOpen) {
  const title = form.elements.title.value.trim();
  const body = { title, category: form.elements.category.value.trim() };
  const price = Math.round(Number(form.elements.price.value) * 100);
  if (form.elements.price.value && Number.isFinite(price)) body.price_cents = price;
  if (photo) body.picture_base64 = photo.base64;
  const itemId = newId(title);
  const startedAt = performance.now();
  await putItem(itemId, body);
  const by = photo ? "its photo" : "its title";
  const ticking = el("strong", {}, "0.0 s");
  status.replaceChildren(el("p", { class: "verdict running" }, `In the catalogue. Looking for it by ${by} `, ticking));
  const timer = setInterval(() => {
    ticking.textContent = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  }, 100);
  try {
    const outcome = await untilFound(itemId, photo ? { picture_base64: photo.base64 } : { text: title }, startedAt);
    if (!boxIsOpen()) return;
    if (!outcome) {
      throw new Problem({ title: `Not found by ${by} after ${WITHIN_MS / 1000} s`, detail: "`millstream status` shows whether the catalogue is behind" });
    }
    const { item } = outcome.found;
    const remove = el("button", { type: "button", class: "quiet", on: { click: async () => {
      remove.disabled = true;
      await deleteItem(itemId).catch(fail(status));
      remove.textContent = "Removed";
    } } }, "Remove it again");
    status.replaceChildren(
      el("p", { class: "verdict" }, `Findable by ${by} in `, el("strong", {}, seconds(outcome.afterS)), el("small", {}, `place ${outcome.found.position + 1} of the search`)),
      el("div", { class: "found" }, picture({ ...item }, { eager: true }),
        el("div", {}, el("b", {}, item.title), el("p", { class: "fine" }, [calm(item.category), money(item.price_cents)].filter(Boolean).join(" · ")),
          el("div", { class: "actions" }, el("button", { type: "button", class: "second", on: { click: () => onOpen(photo, title) } }, "See the search"), remove))));
  } finally {
    clearInterval(timer);
  }
}

const fail = (status) => (problem) => {
  status.replaceChildren(el("p", { class: "problem", role: "alert" }, el("b", {}, problem.title), " ", withCode(problem.detail)));
};

/** Opens the dialog. `categories` are offered; `onOpen(photo, title)` shows the search that finds the product. */
export function openAddProduct(categories, onOpen) {
  let photo = null;
  const preview = el("span", { class: "photo-preview" }, "Choose a photo");
  const file = el("input", { type: "file", accept: "image/*", class: "hidden-input", name: "photo", "aria-label": "Photo", on: { change: async () => {
    if (!file.files[0]) return;
    try {
      photo = await readPhoto(file.files[0]);
      preview.replaceChildren(el("img", { src: photo.url, alt: "The photo of the product" }));
    } catch (error) {
      fail(status)(new Problem({ title: "The photo cannot be read", detail: error.message }));
    }
  } } });
  const status = el("div", { class: "status", "aria-live": "polite" });
  const submit = el("button", { type: "submit", class: "main" }, "Put it in the shop");
  const form = el("form", { class: "product-form", on: { submit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    status.replaceChildren(el("p", { class: "verdict running" }, "Sending"));
    await publish(form, photo, status, onOpen).catch(fail(status));
    submit.disabled = false;
  } } },
  el("label", { class: "photo" }, file, preview),
  el("div", { class: "fields" },
    field("Title", el("input", { name: "title", required: true, maxlength: 500, placeholder: "Blue enamel mug" })),
    field("Category", el("input", { name: "category", maxlength: 200, list: "categories", placeholder: "Kitchen" })),
    field("Price", el("input", { name: "price", type: "number", min: 0, step: 0.01, inputmode: "decimal", placeholder: "12.50" })),
    el("datalist", { id: "categories" }, categories.map(({ name }) => el("option", { value: name }))),
    el("div", { class: "actions" }, submit)));
  openBox("Add a product", el("p", { class: "fine" }, "A photo is enough to be found: the clock shows how soon."), form, status);
  form.elements.title.focus();
}

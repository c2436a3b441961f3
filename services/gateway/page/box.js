// The one small dialog of the page: the basket and "add a product" are shown in it.

import { byId, el } from "./dom.js";

/** Opens the dialog with a title and content; returns the element that holds the content. */
export function openBox(title, ...content) {
  const box = byId("box");
  const body = el("div", { class: "box-body" }, ...content);
  box.replaceChildren(el("div", { class: "box-inner" },
    el("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => box.close() } }, "×"),
    el("h2", { id: "box-title" }, title), body));
  box.onclick = (event) => {
    if (event.target === box) box.close();
  };
  if (!box.open) box.showModal();
  return body;
}

export const closeBox = () => byId("box").close();
export const boxIsOpen = () => byId("box").open;

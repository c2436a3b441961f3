// Who to be: the visitor of this browser, shoppers whose history the shop knows, or any shopper by id.

import { readUser } from "./api.js";
import { closeBox, openBox } from "./box.js";
import { byId, el } from "./dom.js";
import { become, isVisitor, userId } from "./shopper.js";

const OTHER = "\u0000other";
const HOUSEHOLDS_OF_THE_DEMO = ["household-2233", "household-1511", "household-489", "household-1966", "household-2129"];
const likings = new Map();

function label(id) {
  if (isVisitor(id)) return "a new visitor";
  const liking = likings.get(id);
  return liking ? `${id.replace("-", " ")}, likes ${liking}` : `shopper ${id}`;
}

function draw() {
  const me = userId();
  const others = [...likings.keys()].filter((id) => id !== me);
  byId("shopper").replaceChildren(
    el("option", { value: me, selected: true }, label(me)),
    others.length ? el("optgroup", { label: "Shoppers with a history" }, others.map((id) => el("option", { value: id }, label(id)))) : "",
    el("option", { value: OTHER }, "someone else, by id…"),
    el("option", { value: "" }, "start afresh, as a new visitor"));
}

function askForId(onChange) {
  const input = el("input", { name: "id", required: true, maxlength: 128, placeholder: "The id as your shop spells it" });
  const form = el("form", { on: { submit: (event) => {
    event.preventDefault();
    const id = input.value.trim();
    if (!id) return;
    closeBox();
    become(id);
    draw();
    onChange();
  } } }, el("label", { class: "field" }, el("span", {}, "Shopper id"), input),
  el("div", { class: "actions" }, el("button", { type: "submit", class: "main" }, "Be this shopper")));
  openBox("Be another shopper", form);
  input.focus();
}

/** Offers shoppers with what they like; ends at the first that the shop does not know. */
async function offerShoppers() {
  for (const id of HOUSEHOLDS_OF_THE_DEMO) {
    const row = await readUser(id);
    likings.set(id, row.features.category_names?.slice(0, 2).join(" and ") ?? "");
    draw();
  }
}

/** Wires the switcher and "Start afresh"; `onChange()` after the shopper is another one. `/?user=ID` opens as that shopper. */
export function createSwitcher(onChange) {
  const select = byId("shopper");
  select.addEventListener("change", () => {
    const chosen = select.value;
    draw();
    if (chosen === OTHER) {
      askForId(onChange);
      return;
    }
    become(chosen || undefined);
    draw();
    onChange();
  });
  byId("afresh").addEventListener("click", () => {
    become();
    draw();
    onChange();
  });
  const asked = new URLSearchParams(location.search).get("user");
  if (asked) {
    become(asked);
    history.replaceState(null, "", location.pathname);
  }
  draw();
  offerShoppers().catch((problem) => {
    if (!problem.title) throw problem;
  });
}

// Who the shopper is, kept in the browser: the user id and basket across visits, the session id for this tab.

const USER = "millstream.user";
const BASKETS = "millstream.baskets";
const SESSION = "millstream.session";

function random(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `${prefix}-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function read(store, key, otherwise) {
  try {
    return JSON.parse(store.getItem(key)) ?? otherwise;
  } catch (error) {
    if (error instanceof SyntaxError) store.removeItem(key);
    return otherwise;
  }
}

export function userId() {
  let id = read(localStorage, USER, null);
  if (!id) {
    id = random("visitor");
    localStorage.setItem(USER, JSON.stringify(id));
  }
  return id;
}

export function sessionId() {
  let id = read(sessionStorage, SESSION, null);
  if (!id) {
    id = random("session");
    sessionStorage.setItem(SESSION, JSON.stringify(id));
  }
  return id;
}

export const isVisitor = (id) => id.startsWith("visitor-");

/** Becomes another shopper, in a new session; without an id a visitor who was never here. */
export function become(id = random("visitor")) {
  localStorage.setItem(USER, JSON.stringify(id));
  sessionStorage.removeItem(SESSION);
  return id;
}

/** The shopper's basket: lines of `{item_id, item, quantity, request_id}`. */
export function basket() {
  return read(localStorage, BASKETS, {})[userId()] ?? [];
}

export function keepBasket(lines) {
  const baskets = read(localStorage, BASKETS, {});
  if (lines.length) baskets[userId()] = lines;
  else delete baskets[userId()];
  localStorage.setItem(BASKETS, JSON.stringify(baskets));
}

export function addToBasket(shown) {
  const lines = basket();
  const line = lines.find((each) => each.item_id === shown.item_id);
  if (line) line.quantity += 1;
  else lines.push({ item_id: shown.item_id, item: shown.item, quantity: 1, request_id: shown.request_id ?? null });
  keepBasket(lines);
}

/** An interaction of this shopper with an item that was shown, as `POST /v1/events` takes it. */
export function interaction(kind, shown, more = {}) {
  const event = { kind, user_id: userId(), session_id: sessionId(), item_id: shown.item_id, ...more };
  if (shown.request_id) event.request_id = shown.request_id;
  return event;
}

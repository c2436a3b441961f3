// The gateway's HTTP API: one function a path, and every failure as a Problem (RFC 9457: title and detail).

const TIMEOUT_MS = 15000;

/** An answer that is an error, or none at all. */
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, reason = "" }) {
    super(title);
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.reason = reason;
  }
}

function whyRefused(body) {
  if (typeof body?.detail === "string") return body.detail;
  const first = (Array.isArray(body?.detail) ? body.detail : body?.errors)?.[0];
  return first?.msg ?? "";
}

async function call(path, { method = "GET", body } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Problem({
      title: late ? "The shop takes too long to answer" : "The shop does not answer",
      detail: "`millstream status` shows which part is away",
      reason: late ? "timeout" : "unreachable",
    });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Problem({
    title: answer?.title ?? `The shop answered ${response.status}`,
    detail: whyRefused(answer),
    status: response.status,
    reason: answer?.reason ?? "",
  });
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const recommend = (body) => call("/v1/recommendations", { method: "POST", body });
export const search = (body) => call("/v1/search", { method: "POST", body });
export const listItems = (values) => call(`/v1/items?${query(values)}`);
export const putItem = (id, body) => call(`/v1/items/${encodeURIComponent(id)}`, { method: "PUT", body });
export const deleteItem = (id) => call(`/v1/items/${encodeURIComponent(id)}`, { method: "DELETE" });
export const readItem = (id) => call(`/v1/items/${encodeURIComponent(id)}`);
export const freshness = () => call("/v1/freshness");
export const readTrace = (eventId) => call(`/v1/traces/${encodeURIComponent(eventId)}`);
export const readUser = (id) => call(`/v1/users/${encodeURIComponent(id)}`);
export const picturePath = (key) => `/v1/pictures/${encodeURIComponent(key)}`;

let posted = Promise.resolve();

/**
 * Posts one event after those before it were answered, so that they arrive in the order they happened in; returns its id.
 * A refusal inside an accepted batch is an error here: the batch is of one.
 */
export function postEvent(event) {
  const answered = posted.then(() => post(event));
  posted = answered.catch(() => null);
  return answered;
}

async function post(event) {
  const answer = await call("/v1/events", { method: "POST", body: event });
  const refused = answer.rejected?.[0];
  if (refused) throw new Problem({ title: "The event was refused", detail: refused.detail, reason: refused.reason });
  return answer.event_ids[0];
}

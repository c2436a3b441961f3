// The side panel: the two live figures, the model that is served, how long the last answer took, and the shopper's history.

import { freshness, readItem, readUser } from "./api.js";
import { age, byId, calm, count, el, picture, seconds, short, withCode } from "./dom.js";
import { userId } from "./shopper.js";

const EVERY_MS = 2000;
const TRAIL = 12;
const seen = new Map();
const absent = new Set();
let lastAnswer = null;
let figures = null;
let figuresAt = 0;

/** Keeps the cards of an answer, so that the history can show them by their ids. */
export function remember(items) {
  for (const { item_id, item } of items) seen.set(item_id, item);
}

/** The last answer of the gateway, for its latency. */
export function measured(answer) {
  lastAnswer = answer;
  drawPulse();
}

function figure(name, { n, p50, p95 }, hint) {
  return el("div", { class: "figure", title: hint },
    el("p", { class: "figure-name" }, name),
    el("p", { class: n ? "figure-value" : "figure-value unknown" }, n ? seconds(p50) : "–"),
    el("p", { class: "fine" }, n ? `half within this, 95% within ${seconds(p95)} · n = ${n.toLocaleString("en")}` : "nothing measured yet"));
}

const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

function latency() {
  const stages = Object.entries(lastAnswer?.stage_ms ?? {});
  if (!stages.length) return null;
  const named = stages.find(([stage]) => stage === "total" || stage === "total_ms");
  const parts = stages.filter((stage) => stage !== named && stage[1] > 0).sort((one, other) => other[1] - one[1]);
  const sum = parts.reduce((total, [, ms]) => total + ms, 0);
  const plain = (stage) => calm(stage.replace(/_ms$/, "").replaceAll("_", " "));
  return el("div", { class: "latency" },
    el("p", { class: "figure-name" }, "Last answer", el("b", {}, milliseconds(named ? named[1] : sum))),
    el("div", { class: "bar", role: "img", "aria-label": parts.map(([stage, ms]) => `${plain(stage)} ${milliseconds(ms)}`).join(", ") },
      parts.map(([stage, ms]) => el("i", { style: { "flex-grow": ms }, title: `${plain(stage)} ${milliseconds(ms)}` }))),
    el("p", { class: "fine stages" }, parts.slice(0, 4).map(([stage, ms]) => el("span", {}, `${plain(stage)} ${milliseconds(ms)}`))));
}

function drawPulse() {
  const body = byId("pulse-body");
  const pulse = byId("pulse");
  if (!figures) {
    body.replaceChildren(...[0, 1].map(() => el("p", { class: "bone line tall" })), latency() ?? "");
    return;
  }
  const modelAge = figures.model_age_s === null ? null : figures.model_age_s + (performance.now() - figuresAt) / 1000;
  pulse.classList.toggle("still", figures.model_version === null);
  body.replaceChildren(
    figure("Click to changed list", figures.click_to_ranking_s, "From the click to the end of the first answer that includes it"),
    figure("Click to changed model", figures.click_to_weights_s, "From the click to the first answer by a model trained on it"),
    el("dl", { class: "facts" },
      el("div", {}, el("dt", {}, "Model"), el("dd", { title: figures.model_version ?? "" }, short(figures.model_version))),
      el("div", {}, el("dt", {}, "Its age"), el("dd", {}, age(modelAge ?? NaN))),
      el("div", {}, el("dt", {}, "Versions served"), el("dd", {}, (figures.versions_served?.length ?? 0).toLocaleString("en")))),
    latency() ?? "");
}

async function refresh() {
  if (document.hidden) return;
  try {
    figures = await freshness();
    figuresAt = performance.now();
    drawPulse();
  } catch (problem) {
    byId("pulse").classList.add("still");
    byId("pulse-body").replaceChildren(el("p", { class: "fine" }, withCode([problem.title, problem.detail].filter(Boolean).join(". "))));
  }
}

/** Starts the panel: draws it now and every two seconds while the page is looked at. */
export function startPulse() {
  drawPulse();
  refresh();
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}

async function cardOf(itemId) {
  if (seen.has(itemId)) return seen.get(itemId);
  if (absent.has(itemId)) return null;
  try {
    const answer = await readItem(itemId);
    const item = answer.item ?? answer;
    seen.set(itemId, item);
    return item;
  } catch (problem) {
    if (problem.status === 404 || problem.status === 405) absent.add(itemId);
    return null;
  }
}

/** Draws the history that `answer` was made with, newest first; `onOpen(shown)` opens a product of it again. */
export async function drawTrail(answer, onOpen) {
  const id = userId();
  const trail = byId("trail");
  const say = (words) => trail.replaceChildren(el("p", { class: "fine" }, words));
  if (answer.degraded_reasons?.includes("features_unavailable")) return say("It cannot be read right now.");
  if (answer.degraded_reasons?.includes("features_refilling")) return say("It was lost and is being refilled.");
  if (!answer.features?.events_in_history) return say("Nothing yet. What you open, put in the basket and buy appears here.");
  let row;
  try {
    row = await readUser(id);
  } catch (problem) {
    return say(problem.title);
  }
  const features = row.features ?? {};
  const newest = [...new Set([...(features.recent_items ?? [])].reverse())].slice(0, TRAIL);
  const cards = await Promise.all(newest.map(cardOf));
  if (id !== userId()) return null;
  const known = newest.map((item_id, place) => ({ item_id, item: cards[place] })).filter(({ item }) => item?.title);
  if (!known.length) return say(`${count(newest.length, "product")} of an earlier catalogue.`);
  trail.replaceChildren(
    el("ul", { class: "thumbs" }, known.map((shown) => el("li", {},
      el("button", { type: "button", title: shown.item.title, "aria-label": `Open ${shown.item.title} again`,
        on: { click: () => onOpen({ ...shown, sources: [] }) } }, picture(shown.item))))),
    el("p", { class: "fine" }, `${count(features.event_count ?? newest.length, "event")} kept`,
      Number.isFinite(row.age_s) ? `, the newest ${age(row.age_s)} ago` : ""));
  return null;
}


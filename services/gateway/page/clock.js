// The clock: follows one posted event until the list includes it (click to changed list) and then until the model has
// learned from it (click to changed weights), and draws its way as a strip of stages in the dock.

import { readTrace, readUser } from "./api.js";
import { byId, count, el, picture, seconds, short, sleep } from "./dom.js";
import { userId } from "./shopper.js";
import { MILESTONES, STAGES, deed } from "./words.js";

const RANKING_EVERY_MS = 100;
const RANKING_WITHIN_MS = 5000;
const TRACE_EVERY_MS = 1000;
const TRACE_WITHIN_MS = 90000;

let newest = 0;

/** Ends the clock of an earlier deed and hides the dock (another shopper, or the cross was pressed). */
export function stopClock() {
  newest += 1;
  byId("dock").hidden = true;
  document.body.classList.remove("docked");
}

/** Whether the shopper's row holds the event. The row is asked, not the list: an answer nobody sees is no impression. */
async function isFolded(eventId) {
  const user = await readUser(userId()).catch((problem) => {
    if (problem.status !== 404) throw problem;
    return null;
  });
  return user?.features.recent_event_ids?.includes(eventId) ?? false;
}

function sentence(run) {
  const name = deed(run.kind);
  const parts = [];
  if (run.rankingS !== null) {
    parts.push(el("p", { class: "verdict" }, `Your ${name} changed ${run.listName} in `, el("strong", {}, seconds(run.rankingS)),
      el("small", {}, run.change)));
  } else if (run.late) {
    parts.push(el("p", { class: "verdict" }, `Your ${name} is not in ${run.listName} yet`, el("small", {}, "it is kept, the stream is behind")));
  } else {
    parts.push(el("p", { class: "verdict running" }, `Your ${name} is on its way `, el("strong", { class: "ticking", "aria-hidden": "true" }, "0.0 s")));
  }
  if (run.weightsS !== null) {
    parts.push(el("p", { class: "verdict learned" }, "The model learned from it in ", el("strong", {}, seconds(run.weightsS)),
      el("small", { title: run.version ?? "" }, run.version ? `version ${short(run.version)}` : "")));
  } else if (run.rankingS !== null || run.late) {
    const waiting = run.given ? "The model has not learned from it yet" : "The model is learning from it ";
    parts.push(el("p", { class: "verdict learned running" }, waiting, !run.given && el("strong", { class: "ticking", "aria-hidden": "true" }, "")));
  }
  return parts;
}

function strip(run) {
  const at = new Map(run.stamps.map((stamp) => [stamp.stage, Date.parse(stamp.at)]));
  const start = at.get("received");
  return el("ol", { class: "strip", "aria-label": "The way of your event through the system" }, STAGES.map(([stage, label]) => {
    const reached = at.has(stage);
    const offset = reached && start ? (at.get(stage) - start) / 1000 : null;
    return el("li", { class: [reached ? "reached" : "", MILESTONES.has(stage) ? "milestone" : ""].join(" ").trim() || null },
      el("b", {}, label), el("time", {}, offset === null ? "" : offset <= 0 ? "0 s" : `+${seconds(offset)}`));
  }));
}

function say(place, run) {
  const known = JSON.stringify([run.turn, run.rankingS, run.weightsS, run.late, run.given]);
  if (place.dataset.known === known) return;
  place.dataset.known = known;
  place.replaceChildren(...sentence(run));
}

function draw(run) {
  const dock = byId("dock");
  if (dock.dataset.turn !== String(run.turn)) {
    dock.dataset.turn = run.turn;
    dock.replaceChildren(
      el("div", { class: "dock-head" },
        picture(run.shown.item, { eager: true }),
        el("div", { class: "verdicts", "aria-live": "polite" }),
        el("button", { type: "button", class: "close", "aria-label": "Close the clock", on: { click: stopClock } }, "×")),
      strip(run));
  }
  say(dock.querySelector(".verdicts"), run);
  dock.querySelector(".strip").replaceWith(strip(run));
  dock.hidden = false;
  document.body.classList.add("docked");
  const inSheet = byId("sheet-clock");
  if (inSheet) say(inSheet, run);
}

function tick(run) {
  if (run.turn !== newest || run.weightsS !== null || run.given) return;
  const text = `${((performance.now() - run.startedAt) / 1000).toFixed(1)} s`;
  for (const node of document.querySelectorAll(".ticking")) node.textContent = text;
  setTimeout(() => tick(run), 100);
}

async function untilRanked(run, ask, show) {
  while (performance.now() - run.startedAt < RANKING_WITHIN_MS) {
    const folded = await isFolded(run.eventId);
    if (run.turn !== newest) return;
    if (folded) {
      const answer = await ask();
      if (run.turn !== newest) return;
      const { moved, entered } = show(answer);
      run.rankingS = (performance.now() - run.startedAt) / 1000;
      run.change = moved + entered ? `${count(entered, "new product")}, ${moved} moved` : "the order stayed as it was";
      return;
    }
    await sleep(RANKING_EVERY_MS);
  }
  run.late = true;
}

async function untilLearned(run, ask, show) {
  while (performance.now() - run.startedAt < TRACE_WITHIN_MS) {
    const trace = await readTrace(run.eventId).catch((problem) => {
      if (problem.status !== 404) throw problem;
      return null;
    });
    if (run.turn !== newest) return;
    if (trace) {
      run.stamps = trace.stamps;
      run.weightsS = trace.click_to_weights_s ?? null;
      run.version = trace.stamps.findLast((stamp) => stamp.model_version)?.model_version ?? null;
      draw(run);
      if (run.weightsS !== null) return;
      if (trace.stamps.some(({ stage }) => stage === "published")) {
        const answer = await ask();
        if (run.turn !== newest) return;
        show(answer);
      }
    }
    await sleep(TRACE_EVERY_MS);
  }
  run.given = true;
  draw(run);
}

/** Follows an event; `posting` resolves to its id, `ask` makes a new answer, `show(answer)` puts it on the page. */
export async function startClock({ kind, shown, posting, listName, ask, show }) {
  newest += 1;
  const run = { turn: newest, kind, shown, listName, startedAt: performance.now(), eventId: null, rankingS: null,
    weightsS: null, version: null, change: "", late: false, given: false, stamps: [] };
  draw(run);
  tick(run);
  try {
    run.eventId = await posting;
    if (run.turn !== newest) return;
    await untilRanked(run, ask, show);
    if (run.turn !== newest) return;
    draw(run);
    await untilLearned(run, ask, show);
  } catch (problem) {
    if (run.turn === newest) stopClock();
    throw problem;
  }
}

/** The page of incidents: connects its parts. */

import { Api } from "../api.js";
import { Notice, sentence } from "../notice.js";
import { showEvents, showTimeline } from "./activity.js";
import { incidentRow, showExplanation, showNormal, showSize } from "./alarm.js";
import { AlarmFeed } from "./alarm_feed.js";
import { showStatistics } from "./statistics.js";

const MAX_ROWS = 500; // incidents in the list, and alarms of a pause
const ACTIVITY_PAUSE = 2000; // milliseconds between two requests for the activity
const LEARNING_TIMEOUT = 120_000; // milliseconds; the detector learns for some seconds
const STATES = { live: "live", lost: "not connected, trying again" };

const $ = (id) => document.getElementById(id);
const api = new Api();
const notice = new Notice($("notice"), (token) => {
  api.token = token;
  begin();
}, { offline: () => "The server does not answer. Trying again; no alarm is lost." });

const feed = new AlarmFeed(api, {
  onIncidents: (incidents) => {
    replaceAll(incidents);
    showState();
  },
  onAlarms: (alarms) => {
    if (paused) hold(alarms);
    else add(alarms);
    showState();
  },
  onReport: (report) => {
    showStatistics($("figures"), $("drift"), report);
    for (const row of report.ok.map(rowOf)) row && showNormal(row);
    refresh();
  },
  onState: (name) => {
    connection = name;
    showState();
  },
  onError: notice.reporter("alarms"),
});
let connection = "";
let paused = false;
let held = []; // the last alarms of the pause
let heldCount = 0; // number of alarms during the pause
let isRefreshing = false;
let isStale = false; // whether the activity has changed since it was requested

/** Lists the detectors, and begins with the chosen one, or the first. */
async function begin() {
  const report = notice.reporter("detectors");
  try {
    const { data } = await api.json("GET", "v1/watch");
    const chosen = $("detector").value;
    $("detector").replaceChildren(...data.map(({ id }) => new Option(id, id, false, id === chosen)));
    $("detector").disabled = data.length < 2;
    $("pause").disabled = false;
    use(data);
    report(null);
    const models = await api.models().catch(() => []); // only for the link to the other page
    $("other").hidden = !models.length;
  } catch (error) {
    report(error);
    if (error.isTemporary) setTimeout(begin, 1000 * (error.seconds || 2));
  }
}

function use(reports) {
  const report = reports.find(({ id }) => id === $("detector").value);
  if (report) showStatistics($("figures"), $("drift"), report);
  feed.follow($("detector").value);
}

/** Shows the activity, but not too often. */
async function refresh() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  while (isStale) {
    isStale = false;
    try {
      const activity = await api.json("GET", `v1/watch/activity?${query()}`);
      showTimeline($("timeline"), activity);
      showEvents($("events"), activity);
    } catch (error) {
      if (!error.isTemporary) notice.reporter("activity")(error); // the feed reports a lost connection
    }
    await new Promise((resolve) => setTimeout(resolve, ACTIVITY_PAUSE));
  }
  isRefreshing = false;
}

function replaceAll(incidents) {
  held = [];
  heldCount = 0;
  $("alarms").replaceChildren();
  for (const incident of incidents) showSize(addRow(incident.opening), incident);
  showNone();
}

/** Keeps the newest alarms, as many as the list can show. */
function hold(alarms) {
  held = [...held, ...alarms].slice(-MAX_ROWS);
  heldCount += alarms.length;
}

/** Adds alarms to the rows of their incidents. A new incident gets a row on top of the list. */
function add(alarms) {
  const news = [];
  for (const alarm of alarms) {
    let row = $("alarms").querySelector(`[data-incident="${alarm.incident}"]`);
    if (!row) {
      row = addRow(alarm);
      news.push(alarm);
    }
    showSize(row, { alarms: alarm.repeats + 1, keys: alarm.keys, last: alarm.time });
  }
  showNone();
  if (news.length) $("spoken").textContent = `Alarm: ${news.at(-1).key}`;
}

function addRow(alarm) {
  const row = incidentRow(alarm, explain);
  $("alarms").prepend(row);
  while ($("alarms").childElementCount > MAX_ROWS) $("alarms").lastElementChild.remove();
  return row;
}

function showNone() {
  $("none").hidden = $("alarms").childElementCount > 0;
}

function showState() {
  const news = heldCount ? `, ${heldCount} new` : "";
  $("state").className = `state ${connection === "live" && paused ? "" : connection}`;
  $("state").value = connection === "live" && paused ? `paused${news}` : `${STATES[connection] ?? ""}${news}`;
  $("pause").textContent = paused ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", String(paused));
}

const pathOf = (row) => `v1/watch/alarms/${row.dataset.number}`;
const query = () => `model=${encodeURIComponent($("detector").value)}`;
const rowOf = (number) => $("alarms").querySelector(`[data-number="${number}"]`);

async function explain(row, place) {
  const report = notice.reporter("explanation");
  place.textContent = "...";
  try {
    const found = await api.json("GET", `${pathOf(row)}?${query()}`);
    showExplanation(place, found, $("detail"), (button, status) => markNormal(row, button, status));
    report(null);
  } catch (error) {
    place.replaceChildren();
    row.firstElementChild.open = false;
    report(error);
  }
}

/** Makes the detector learn that a sequence is normal. */
async function markNormal(row, button, status) {
  button.disabled = true;
  status.textContent = "The detector is learning...";
  try {
    const signal = AbortSignal.timeout(LEARNING_TIMEOUT);
    const response = await api.stream("POST", `${pathOf(row)}/ok?${query()}`, {}, signal);
    const { p_value: p, flagged } = await response.json();
    const [before, after] = [p.before, p.after].map((value) => Number(value.toPrecision(2)));
    const still = flagged.after ? ". The sequence would still be flagged: mark more sequences like it" : "";
    status.textContent = `Learned: the p-value was ${before} and is now ${after}${still}.`;
    showNormal(row);
  } catch (error) {
    button.disabled = false;
    status.textContent = `Not learned. ${sentence(error)}`;
  }
}

/** Arrow keys move between incidents. */
$("alarms").addEventListener("keydown", (event) => {
  if (event.target.localName !== "summary") return;
  const row = event.target.closest("li");
  const rows = $("alarms");
  const others = {
    ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: rows.firstElementChild, End: rows.lastElementChild,
  };
  if (!(event.key in others)) return;
  event.preventDefault();
  others[event.key]?.querySelector("summary").focus();
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  if (!paused) {
    add(held.splice(0));
    heldCount = 0;
  }
  showState();
});
$("detector").addEventListener("change", () => begin());
window.addEventListener("online", () => feed.retry());
begin();

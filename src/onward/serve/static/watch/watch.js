/** The page of alarms: joins its parts. */

import { Api } from "../api.js";
import { Notice, sentence } from "../notice.js";
import { rowOf, showFine, showStory } from "./alarm.js";
import { Feed } from "./feed.js";
import { showFigures } from "./figures.js";

const MOST = 500; // alarms in the list
const PATIENCE = 120_000; // milliseconds: learning that something was normal takes some seconds
const STATES = { live: "live", lost: "not connected, trying again" };

const $ = (id) => document.getElementById(id);
const api = new Api();
const notice = new Notice($("notice"), (token) => {
  api.token = token;
  begin();
}, { gone: () => "The server does not answer; trying again. Alarms wait there." });

const feed = new Feed(api, {
  alarms: (found, anew) => {
    if (anew) begun(found);
    else if (paused) hold(found);
    else add(found);
    showState();
  },
  report: (report) => {
    showFigures($("figures"), $("drift"), report);
    for (const row of report.ok.map(rowNumbered)) row && showFine(row);
  },
  state: (name) => {
    connection = name;
    showState();
  },
  troubled: notice.of("alarms"),
});
let connection = "";
let paused = false;
let held = []; // alarms that came while it was paused, the last ones
let missed = 0; // how many came

/** Learns what is watched, and begins with the detector chosen, or the first. */
async function begin() {
  const told = notice.of("watch");
  try {
    const { data } = await api.json("GET", "v1/watch");
    const chosen = $("detector").value;
    $("detector").replaceChildren(...data.map(({ id }) => new Option(id, id, false, id === chosen)));
    $("detector").disabled = data.length < 2;
    $("pause").disabled = false;
    use(data);
    told(null);
    const models = await api.models().catch(() => []); // only a link hangs on it
    $("other").hidden = !models.length;
  } catch (trouble) {
    told(trouble);
    if (["gone", "busy"].includes(trouble.kind)) setTimeout(begin, 1000 * (trouble.seconds || 2));
  }
}

function use(data) {
  const report = data?.find(({ id }) => id === $("detector").value);
  if (report) showFigures($("figures"), $("drift"), report);
  feed.follow($("detector").value);
}

/** The list begins with these. */
function begun(found) {
  held = [];
  missed = 0;
  $("alarms").replaceChildren();
  add(found, false);
}

/** Keeps what the list has room for. */
function hold(found) {
  held = [...held, ...found].slice(-MOST);
  missed += found.length;
}

/** Puts alarms on top of the list, the newest first. */
function add(found, spoken = true) {
  for (const alarm of found) $("alarms").prepend(rowOf(alarm, explain));
  while ($("alarms").childElementCount > MOST) $("alarms").lastElementChild.remove();
  $("none").hidden = $("alarms").childElementCount > 0;
  if (spoken && found.length) $("spoken").textContent = `Alarm: ${found.at(-1).key}`;
}

function showState() {
  const waiting = missed ? `, ${missed} new` : "";
  $("state").className = `state ${connection === "live" && paused ? "" : connection}`;
  $("state").value = connection === "live" && paused ? `paused${waiting}` : `${STATES[connection] ?? ""}${waiting}`;
  $("pause").textContent = paused ? "Go on" : "Pause";
  $("pause").setAttribute("aria-pressed", String(paused));
}

const pathOf = (row) => `v1/watch/alarms/${row.dataset.number}`;
const asked = () => `model=${encodeURIComponent($("detector").value)}`;
const rowNumbered = (number) => $("alarms").querySelector(`[data-number="${number}"]`);

async function explain(row, place) {
  const told = notice.of("explanation");
  place.textContent = "...";
  try {
    const found = await api.json("GET", `${pathOf(row)}?${asked()}`);
    showStory(place, found, $("detail"), (button, said) => forgive(row, button, said));
    told(null);
  } catch (trouble) {
    place.replaceChildren();
    row.firstElementChild.open = false;
    told(trouble);
  }
}

/** Tells the detector that a sequence was normal. */
async function forgive(row, button, said) {
  button.disabled = true;
  said.textContent = "The detector learns it...";
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await api.send("POST", `${pathOf(row)}/ok?${asked()}`, {}, signal);
    const { p_value: p, flagged } = await response.json();
    const [before, after] = [p.before, p.after].map((value) => Number(value.toPrecision(2)));
    const still = flagged.after ? "; it would be flagged still: tell of more such sequences" : "";
    said.textContent = `Learned: p-value ${before} before, ${after} after${still}.`;
    showFine(row);
  } catch (trouble) {
    button.disabled = false;
    said.textContent = `Not learned. ${sentence(trouble)}`; // beside the button, where one looks
  }
}

/** Arrow keys go from alarm to alarm. */
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
    missed = 0;
  }
  showState();
});
$("detector").addEventListener("change", () => begin());
window.addEventListener("online", () => feed.retry());
begin();

/** An alarm as it stands in the list, and its explanation. */

import { reading } from "../reading.js";
import { element, percent } from "../text.js";

const STEPS = 10;
const OF_ONE = ["largest", "new", "rank"]; // features that one event speaks for
const FEATURES = {
  largest: "an event that was hardly expected",
  mean: "events that surprise on average",
  total: "more surprise in all than so many events should have",
  burst: "events in a row that surprise",
  counts: "events that came too often or too seldom",
  new: "events that were never seen, or not behind the event before them",
  unseen: "a large share of events that were never seen, or not behind the event before them",
  table: "events that surprise an n-gram on average",
  rank: "an event that was not among the likeliest",
};

/** The row of an alarm; `explain(row, place)` is called when it is opened for the first time. */
export const rowOf = (alarm, explain) => {
  const row = element("li");
  row.dataset.number = alarm.alarm;
  const box = element("details");
  const head = element("summary");
  const why = element("span", "why");
  why.append(...reasonOf(alarm));
  head.append(element("span", "name", alarm.key || "(no key)"), chanceOf(alarm), why, timeOf(alarm));
  if (alarm.line && alarm.line !== alarm.event) head.append(element("code", "line", alarm.line));
  const story = element("div", "story");
  box.append(head, story);
  box.addEventListener("toggle", () => box.open && !story.firstChild && explain(row, story));
  row.append(box);
  return row;
};

/** Shows of a row that its sequence was said to be normal. */
export const showFine = (row) => {
  if (row.classList.contains("fine")) return;
  row.classList.add("fine");
  row.querySelector(".name").append(" ", element("span", "tag", "was normal"));
};

/** Fills the place of an explanation; `forgive()` is called when a reader says that it was normal. */
export const showStory = (place, found, detail, forgive) => {
  const { alarm, events, first, of } = found;
  place.replaceChildren();
  if (alarm.line) place.append(element("code", "source", alarm.line));
  if ("event" in alarm) {
    const expected = alarm.expected.map(({ event, probability }) => `${event} ${percent(probability, 2)} %`).join(", ");
    place.append(element("p", "", `Line ${alarm.number}: ${alarm.event} came with ${alarm.bits.toFixed(1)} bits. Expected: ${expected}.`));
  }
  if (alarm.counts.length) place.append(element("p", "", `Counts: ${countsOf(alarm)}.`));
  const mean = found.bits_per_event.toFixed(2);
  place.append(element("p", "", `What speaks: ${FEATURES[alarm.speaks] ?? alarm.speaks}. Normal events have ${mean} bits each.`));
  const text = marksOf(found);
  const told = new Map([...text.children].map((mark, i) => [mark, describe(events[i])]));
  reading(text, detail, (mark) => told.get(mark), () => worst(text, events));
  const part = events.length < of ? `Events ${first + 1} to ${first + events.length} of ${of}` : `All ${of} events`;
  place.append(element("p", "", `${part}, coloured by their surprise${found.ended ? "" : "; more may follow"}:`), text);
  const verdict = element("div", "verdict");
  const button = element("button", "", "That was normal");
  const said = element("span");
  said.setAttribute("role", "status");
  button.addEventListener("click", () => forgive(button, said));
  verdict.append(button, said);
  place.append(verdict);
  worst(text, events)?.scrollIntoView({ block: "nearest" });
};

/** What an alarm says in a few words, as nodes. */
const reasonOf = (alarm) => {
  if (alarm.speaks === "counts" && alarm.counts.length) return [countsOf(alarm)];
  if (!("event" in alarm)) return [FEATURES[alarm.speaks] ?? alarm.speaks];
  const came = element("b", "", alarm.event);
  if (!OF_ONE.includes(alarm.speaks)) return [`${FEATURES[alarm.speaks]}, most of all `, came, `, ${alarm.bits.toFixed(1)} bits`];
  const [expected] = alarm.expected;
  const nodes = [came, ` came with ${alarm.bits.toFixed(1)} bits, expected was ${expected.event}`];
  return alarm.new ? [...nodes, element("span", "tag", "new here")] : nodes;
};

const countsOf = ({ counts }) => counts.map(({ event, found, normal }) => `${found} × ${event}, normally ${normal}`).join("; ");

const chanceOf = ({ p_value: value, ended }) =>
  element("span", "chance", `p ${ended ? "=" : "≤"} ${Number(value.toPrecision(2))}`);

const timeOf = ({ time, number }) => {
  const shown = element("time", "", time ? time.replace("T", " ").replace(/\.\d+Z$/, "") : `line ${number}`);
  if (time) shown.dateTime = time;
  return shown;
};

/** The events, each a mark of the colour of its surprise. */
const marksOf = ({ events, bytes }) => {
  const text = element("div", bytes ? "text" : "text events");
  Object.assign(text, { tabIndex: 0 });
  text.setAttribute("role", "application");
  text.setAttribute("aria-label", "surprise of each event; arrow keys go from event to event");
  for (const { event, bits } of events) {
    text.append(element("i", `s${Math.max(0, Math.min(Math.floor(bits), STEPS - 1))}`, event));
    if (!bytes) text.append(" ");
  }
  return text;
};

const describe = ({ event, bits, expected }) => ({
  name: event,
  percent: percent(2 ** -bits),
  bits: bits.toFixed(2),
  likeliest: expected.map((other) => ({ name: other.event, percent: percent(other.probability), came: other.event === event })),
});

const worst = (text, events) => text.children[events.reduce((best, { bits }, i) => (bits > events[best].bits ? i : best), 0)];

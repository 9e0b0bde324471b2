/** An incident in the list, by the alarm that opened it, and the explanation of this alarm. */

import { reading } from "../reading.js";
import { count, element, percent } from "../text.js";

const LEVELS = 10;
const SINGLE_EVENT = ["new", "rank"]; // features that come from one event
const FIRST_SEEN = "first seen: ";
const FEATURES = {
  total: "more surprise in total than is normal for so many events",
  top: "some very surprising events",
  mean: "events that are surprising on average",
  ngram_mean: "events that are surprising on average by the n-gram model",
  ngram_top: "some very surprising events by the n-gram model",
  counts: "events that are too frequent or too rare",
  new: "an event, or a pair of events, that was never seen before",
  rank: "an event that is not among the most likely ones",
};

/** Returns the row of an incident. `explain(row, place)` is called when it is opened for the first time. */
export const incidentRow = (alarm, explain) => {
  const row = element("li");
  row.dataset.number = alarm.alarm;
  row.dataset.incident = alarm.incident;
  const box = element("details");
  const head = element("summary");
  const why = element("span", "why");
  why.append(...reasonOf(alarm));
  head.append(element("span", "name", alarm.key || "(no key)"), pValueOf(alarm), why, timeOf(alarm), element("span", "size"));
  if (alarm.line && alarm.line !== alarm.event) head.append(element("code", "line", alarm.line));
  const explanation = element("div", "explanation");
  box.append(head, explanation);
  box.addEventListener("toggle", () => box.open && !explanation.firstChild && explain(row, explanation));
  row.append(box);
  return row;
};

/** Shows how many alarms and keys an incident has, and the time of its last alarm. */
export const showSize = (row, { alarms, keys, last }) => {
  if (alarms < 2) return;
  const until = last ? `, last ${shownTime(last)}` : "";
  row.querySelector(".size").textContent = `${count(alarms)} alarms, ${count(keys)} ${keys === 1 ? "key" : "keys"}${until}`;
};

/** Shows in a row that its sequence was marked as normal. */
export const showNormal = (row) => {
  if (row.classList.contains("normal")) return;
  row.classList.add("normal");
  row.querySelector(".name").append(" ", element("span", "tag", "marked as normal"));
};

/** Shows an explanation. `markNormal(button, status)` is called when the user marks the sequence as normal. */
export const showExplanation = (place, found, detail, markNormal) => {
  const { alarm, events, first, of } = found;
  place.replaceChildren();
  if (alarm.line) place.append(element("code", "source", alarm.line));
  if ("event" in alarm) {
    const expected = alarm.expected.map(({ event, probability }) => `${event} ${percent(probability, 2)} %`).join(", ");
    const surprise = `${alarm.event} had a surprise of ${alarm.bits.toFixed(1)} bits`;
    place.append(element("p", "", `Line ${alarm.number}: ${surprise}. Expected: ${expected}.`));
  }
  if (alarm.counts.length) place.append(element("p", "", `Counts: ${countsOf(alarm)}.`));
  const mean = found.bits_per_event.toFixed(2);
  const reason = FEATURES[alarm.speaks] ?? alarm.speaks;
  place.append(element("p", "", `Reason: ${reason}. Normal events have ${mean} bits on average.`));
  const text = marksOf(found);
  const details = new Map([...text.children].map((mark, i) => [mark, detailOf(events[i])]));
  reading(text, detail, (mark) => details.get(mark), () => mostSurprising(text, events));
  const part = events.length < of ? `Events ${first + 1} to ${first + events.length} of ${of}` : `All ${of} events`;
  const open = found.ended ? "" : " (the sequence has not ended)";
  place.append(element("p", "", `${part}, coloured by surprise${open}:`), text);
  const verdict = element("div", "verdict");
  const button = element("button", "", "Mark as normal");
  const status = element("span");
  status.setAttribute("role", "status");
  button.addEventListener("click", () => markNormal(button, status));
  verdict.append(button, status);
  place.append(verdict);
  mostSurprising(text, events)?.scrollIntoView({ block: "nearest" });
};

/** Returns the reason for an alarm in a few words, as nodes. */
const reasonOf = (alarm) => {
  if (alarm.cause.startsWith(FIRST_SEEN)) return ["first seen: ", element("b", "", alarm.cause.slice(FIRST_SEEN.length))];
  if (alarm.speaks === "counts" && alarm.counts.length) return [countsOf(alarm)];
  if (!("event" in alarm)) return [FEATURES[alarm.speaks] ?? alarm.speaks];
  const event = element("b", "", alarm.event);
  const bits = alarm.bits.toFixed(1);
  if (!SINGLE_EVENT.includes(alarm.speaks)) return [`${FEATURES[alarm.speaks]}; most surprising: `, event, ` (${bits} bits)`];
  const nodes = [event, ` (${bits} bits), expected ${alarm.expected[0].event}`];
  return alarm.new ? [...nodes, element("span", "tag", "new here")] : nodes;
};

const countsOf = ({ counts }) => counts.map(({ event, found, normal }) => `${found} × ${event}, normally ${normal}`).join("; ");

const pValueOf = ({ p_value: value, ended }) =>
  element("span", "chance", `p ${ended ? "=" : "≤"} ${Number(value.toPrecision(2))}`);

const shownTime = (time) => time.replace("T", " ").replace(/\.\d+Z$/, "");

const timeOf = ({ time, number }) => {
  const shown = element("time", "", time ? shownTime(time) : `line ${number}`);
  if (time) shown.dateTime = time;
  return shown;
};

/** Returns the events as marks, coloured by their surprise. */
const marksOf = ({ events, bytes }) => {
  const text = element("div", bytes ? "text" : "text events");
  Object.assign(text, { tabIndex: 0 });
  text.setAttribute("role", "application");
  text.setAttribute("aria-label", "Surprise of each event; arrow keys move from event to event");
  for (const { event, bits } of events) {
    text.append(element("i", `s${Math.max(0, Math.min(Math.floor(bits), LEVELS - 1))}`, event));
    if (!bytes) text.append(" ");
  }
  return text;
};

const detailOf = ({ event, bits, expected }) => ({
  name: event,
  percent: percent(2 ** -bits),
  bits: bits.toFixed(2),
  likeliest: expected.map((other) => ({ name: other.event, percent: percent(other.probability), came: other.event === event })),
});

const mostSurprising = (text, events) =>
  text.children[events.reduce((best, { bits }, i) => (bits > events[best].bits ? i : best), 0)];

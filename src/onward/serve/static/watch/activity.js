/** The activity of a detector: a timeline of surprise and alarms, and a table of events. */

import { svg, ticks } from "../chart.js";
import { count, element } from "../text.js";

const HEIGHT = 170;
const DAY = 86_400; // seconds
const EDGE = { left: 44, right: 44, top: 12, bottom: 24 };

/** Draws the answer of `GET /v1/watch/activity` as a timeline. */
export const showTimeline = (figure, { timeline, seconds }) => {
  figure.hidden = !timeline.length;
  if (!timeline.length) return;
  const slots = timeline.map((slot) => ({ ...slot, at: Date.parse(slot.time) / 1000 }));
  const begin = slots[0].at;
  const end = slots.at(-1).at + seconds;
  const width = figure.clientWidth || 640;
  const mostBits = Math.max(0.1, ...slots.map((slot) => slot.bits_per_event ?? 0));
  const mostAlarms = Math.max(1, ...slots.map(({ alarms }) => alarms));
  const x = (at) => EDGE.left + ((at - begin) / (end - begin)) * (width - EDGE.left - EDGE.right);
  const y = (value, most) => EDGE.top + (1 - value / (1.05 * most)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const label = (at) => (end - begin < DAY ? clock(at).slice(11) : clock(at).slice(0, 16));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img" }, document.createElement("div"));
  picture.setAttribute("aria-label", summary(slots, mostBits));
  for (const value of ticks(0, mostBits, 3)) {
    svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value, mostBits), y2: y(value, mostBits) }, picture);
    svg("text", { x: EDGE.left - 8, y: y(value, mostBits) + 4, "text-anchor": "end" }, picture, String(value));
  }
  for (const value of ticks(0, mostAlarms, 3).filter(Number.isInteger)) {
    svg("text", { x: width - EDGE.right + 8, y: y(value, mostAlarms) + 4 }, picture, String(value));
  }
  svg("text", { x: EDGE.left, y: HEIGHT - 6 }, picture, label(begin));
  svg("text", { x: width - EDGE.right, y: HEIGHT - 6, "text-anchor": "end" }, picture, label(end));
  for (const { at, alarms } of slots.filter(({ alarms }) => alarms)) {
    const [left, right, top] = [x(at), x(at + seconds), y(alarms, mostAlarms)];
    const bar = { class: "column", x: left, y: top, width: Math.max(1, right - left - 1), height: HEIGHT - EDGE.bottom - top };
    svg("title", {}, svg("rect", bar, picture), `${clock(at)}: ${count(alarms)} alarms`);
  }
  const known = slots.filter((slot) => slot.bits_per_event !== null);
  const points = known.map((slot) => `${x(slot.at + seconds / 2).toFixed(1)},${y(slot.bits_per_event, mostBits).toFixed(1)}`);
  svg("polyline", { class: "line", points: points.join(" ") }, picture);
  for (const point of points) {
    const [cx, cy] = point.split(",");
    svg("circle", { class: "dot", cx, cy, r: 2 }, picture);
  }
  const legend = element("figcaption");
  legend.append(element("span", "of-line", "surprise (bits per event)"), element("span", "of-columns", `alarms in ${period(seconds)}`));
  figure.replaceChildren(picture, legend);
};

/** Fills the table of events: those that the detector had not learned first, then the newest. */
export const showEvents = (section, { events, others }) => {
  section.hidden = !events.length;
  const rows = [...events].sort((one, other) => one.known - other.known).map((event) => {
    const row = element("tr");
    const name = element("td", "event", event.event);
    if (!event.known) name.append(" ", element("span", "tag", "first seen"));
    row.append(name, element("td", "number", event.count.toLocaleString("en")), element("td", "", clock(event.first)), element("td", "", clock(event.last)));
    return row;
  });
  if (others) {
    const row = element("tr");
    row.append(element("td", "", "others"), element("td", "number", others.toLocaleString("en")), element("td"), element("td"));
    rows.push(row);
  }
  section.querySelector("tbody").replaceChildren(...rows);
};

/** Returns a time as text, from ISO 8601 or seconds since 1970. */
const clock = (time) => {
  const moment = typeof time === "string" ? new Date(time) : new Date(1000 * time);
  return moment.toISOString().slice(0, 19).replace("T", " ");
};

const period = (seconds) => (seconds === 1 ? "a second" : `${seconds} seconds`);

const summary = (slots, mostBits) => {
  const alarms = slots.reduce((sum, slot) => sum + slot.alarms, 0);
  return `Surprise and alarms over time: at most ${mostBits.toFixed(1)} bits per event, ${count(alarms)} alarms`;
};

/** The losses of a training run, drawn as SVG. */

import { svg, ticks } from "./chart.js";
import { count, element } from "./text.js";

const HEIGHT = 220;
const EDGE = { left: 36, right: 12, top: 12, bottom: 28 };
const FIRST_FALL = 0.06; // this first share of a run does not set the scale
const BITS = 1 / Math.LN2; // bits in a nat

/** Draws the answer of `GET /v1/models/{id}/curve`, in bits per symbol over the steps. */
export const showCurve = (figure, curve) => {
  const bits = ({ step, value }) => ({ step, value: curve.unit === "nats_per_symbol" ? value * BITS : value });
  const training = curve.training.map(bits);
  const validation = curve.validation.map(bits);
  const most = Math.max(0, ...[...training, ...validation].map(({ step }) => step));
  if (!most) return;
  const width = figure.clientWidth || 640;
  const kept = lowest(validation);
  const settled = [...training, ...validation].filter(({ step }) => step >= Math.min(FIRST_FALL * most, kept?.step ?? most));
  const [low, high] = range(settled.map(({ value }) => value));
  const x = (step) => EDGE.left + (step / most) * (width - EDGE.left - EDGE.right);
  const y = (value) => EDGE.top + ((high - value) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img" }, document.createElement("div"));
  picture.setAttribute("aria-label", summary(training, validation));
  drawAxes(picture, { x, y, low, high, most, width });
  const inside = training.filter(({ value }) => value <= high);
  drawLine(picture, inside, x, y, "raw");
  drawLine(picture, smoothed(inside, most / 80), x, y, "smooth");
  drawLine(picture, validation.filter(({ value }) => value <= high), x, y, "check");
  for (const { step, value } of validation.filter(({ value }) => value <= high)) {
    svg("circle", { class: "dot", cx: x(step), cy: y(value), r: 2.5 }, picture);
  }
  if (kept) svg("circle", { class: "kept", cx: x(kept.step), cy: y(kept.value), r: 5 }, picture);
  figure.replaceChildren(picture, legend(kept));
};

/** Returns the first of the lowest points: the check whose weights the model keeps. */
const lowest = (points) => points.reduce((best, point) => (best && best.value <= point.value ? best : point), undefined);

const range = (values) => {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = 0.08 * (high - low) + 0.02;
  return [low - room, high + room];
};

const drawLine = (picture, points, x, y, kind) => {
  if (!points.length) return;
  const path = points.map(({ step, value }, index) => `${index ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`);
  svg("path", { class: `line ${kind}`, d: path.join("") }, picture);
};

const drawAxes = (picture, { x, y, low, high, most, width }) => {
  for (const value of ticks(low, high, 4)) {
    svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }, picture);
    svg("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, picture, String(value));
  }
  for (const step of ticks(0, most, width < 500 ? 3 : 5)) {
    svg("text", { x: x(step), y: HEIGHT - 8, "text-anchor": step ? "middle" : "start" }, picture, count(step));
  }
};

/** Returns the running mean over the points within `reach` steps. */
const smoothed = (points, reach) => {
  let [first, last, sum] = [0, 0, 0];
  return points.map(({ step }) => {
    for (; last < points.length && points[last].step <= step + reach; last += 1) sum += points[last].value;
    for (; points[first].step < step - reach; first += 1) sum -= points[first].value;
    return { step, value: sum / (last - first) };
  });
};

const summary = (training, validation) => {
  const fall = (name, points) =>
    points.length ? `${name} from ${points[0].value.toFixed(2)} to ${points.at(-1).value.toFixed(2)} bits per symbol` : "";
  return `Training curve: ${[fall("training", training), fall("held-out", validation)].filter(Boolean).join(", ")}`;
};

const legend = (kept) => {
  const caption = element("figcaption");
  caption.append(element("span", "key smooth", "training"));
  if (kept) {
    const text = `held-out checks (each from an empty state), kept: ${kept.value.toFixed(3)} at step ${count(kept.step)}`;
    caption.append(element("span", "key check", text));
  }
  caption.append(element("span", "", "bits per symbol over steps"));
  return caption;
};

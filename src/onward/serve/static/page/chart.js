/** Elements and scales of charts that are drawn as SVG. */

const NAMESPACE = "http://www.w3.org/2000/svg";

/** Returns a new SVG element within a parent. */
export const svg = (name, attributes, parent, content = "") => {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = content;
  parent.append(made);
  return made;
};

/** Returns about `wanted` round values between two bounds. */
export const ticks = (low, high, wanted) => {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  const found = [];
  for (let tick = Math.ceil(low / size); tick * size <= high; tick += 1) found.push(Number((tick * size).toPrecision(6)));
  return found;
};

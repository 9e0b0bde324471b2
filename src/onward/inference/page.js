"use strict";
const text = document.getElementById("text");
const detail = document.getElementById("detail");
const names = JSON.parse(document.getElementById("names").textContent);
let on = null;

const element = (name, content, parent) => {
  const made = document.createElement(name);
  made.textContent = content;
  parent.append(made);
  return made;
};
const name = (id) => (names[id] === " " ? "space" : names[id]);

const show = (mark) => {
  if (on) on.classList.remove("on");
  on = mark;
  detail.hidden = !mark;
  if (!mark) return;
  mark.classList.add("on");
  const [id, percent, bits, ...likeliest] = mark.dataset.e.split(",");
  detail.replaceChildren();
  element("b", name(id), detail);
  element("span", ` ${percent} %, ${bits} bits`, detail);
  const table = element("table", "", detail);
  for (const entry of likeliest) {
    const [other, chance] = entry.split(" ");
    const row = element("tr", "", table);
    if (other === id) row.className = "came";
    element("td", name(other), row);
    element("td", `${chance} %`, row);
  }
  const box = mark.getClientRects()[0] || mark.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - detail.offsetWidth - 8);
  const below = box.bottom + 8 + detail.offsetHeight < document.documentElement.clientHeight;
  const top = below ? box.bottom + 8 : box.top - 8 - detail.offsetHeight;
  detail.style.left = `${Math.max(8, left) + window.scrollX}px`;
  detail.style.top = `${top + window.scrollY}px`;
};

const inLine = (mark, down) => {
  const { left, top } = mark.getBoundingClientRect();
  const next = down ? "nextElementSibling" : "previousElementSibling";
  let other = mark[next];
  while (other && other.getBoundingClientRect().top === top) other = other[next];
  if (!other) return mark;
  const line = other.getBoundingClientRect().top;
  let best = other;
  for (; other && other.getBoundingClientRect().top === line; other = other[next]) {
    if (Math.abs(other.getBoundingClientRect().left - left) < Math.abs(best.getBoundingClientRect().left - left)) best = other;
  }
  return best;
};

const moves = {
  ArrowRight: (mark) => mark.nextElementSibling,
  ArrowLeft: (mark) => mark.previousElementSibling,
  ArrowDown: (mark) => inLine(mark, true),
  ArrowUp: (mark) => inLine(mark, false),
  Home: () => text.firstElementChild,
  End: () => text.lastElementChild,
};

text.addEventListener("pointerover", (event) => event.target.dataset.e && show(event.target));
text.addEventListener("pointerleave", () => show(null));
text.addEventListener("focus", () => on || show(text.firstElementChild));
text.addEventListener("blur", () => show(null));
text.addEventListener("keydown", (event) => {
  if (event.key === "Escape") show(null);
  if (!(event.key in moves)) return;
  event.preventDefault();
  const mark = (on && moves[event.key](on)) || on || text.firstElementChild;
  mark.scrollIntoView({ block: "nearest" });
  show(mark);
});

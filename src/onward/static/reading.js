const element = (name, content, parent) => {
  const made = document.createElement(name);
  made.textContent = content;
  parent.append(made);
  return made;
};

/** The name of a symbol on a page. A space would be invisible, so it is written as a word. */
export const named = (symbol) => (symbol === " " ? "space" : symbol);

const fill = (detail, { name, percent, bits, likeliest }) => {
  detail.replaceChildren();
  element("b", named(name), detail);
  element("span", ` ${percent} %, ${bits} bits`, detail);
  const table = element("table", "", detail);
  for (const other of likeliest) {
    const row = element("tr", "", table);
    if (other.came) row.className = "came";
    element("td", named(other.name), row);
    element("td", `${other.percent} %`, row);
  }
};

const place = (detail, mark) => {
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

/**
 * Lets the user move between the marks of a text with the pointer or the arrow keys, and shows details of each mark.
 *
 * `describe` returns the details of a mark: `name`, `percent`, `bits`, and for each of the `likeliest` symbols `name`,
 * `percent` and whether it `came`. It returns nothing if a mark has no details. `first` returns the mark at which the
 * arrow keys start. Returns a function that shows the details of a mark, or hides them.
 */
export const reading = (text, detail, describe, first = () => text.firstElementChild) => {
  let on = null;
  const show = (mark) => {
    if (on) on.classList.remove("on");
    on = mark;
    const told = mark && describe(mark);
    detail.hidden = !told;
    if (mark) mark.classList.add("on");
    if (!told) return;
    fill(detail, told);
    place(detail, mark);
  };
  const moves = {
    ArrowRight: (mark) => mark.nextElementSibling,
    ArrowLeft: (mark) => mark.previousElementSibling,
    ArrowDown: (mark) => inLine(mark, true),
    ArrowUp: (mark) => inLine(mark, false),
    Home: () => text.firstElementChild,
    End: () => text.lastElementChild,
  };
  text.addEventListener("pointerover", (event) => event.target !== text && show(event.target));
  text.addEventListener("pointerleave", () => show(null));
  text.addEventListener("focus", () => on || show(first()));
  text.addEventListener("blur", () => show(null));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(null);
    if (!(event.key in moves) || !text.firstElementChild) return;
    event.preventDefault();
    const mark = (on && moves[event.key](on)) || on || first();
    mark.scrollIntoView({ block: "nearest" });
    show(mark);
  });
  return show;
};

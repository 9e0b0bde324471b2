/** The surprise of what was typed: a colour behind each mark, and what was expected in its place. */

import { reading } from "./reading.js";
import { percent, points, symbolSpans } from "./text.js";

const MOST = 20_000; // code points; of a longer text the last are scored
const STEPS = 10;
const CALM = 120; // milliseconds without an edit, and one more for each 20 symbols
const ALTERNATIVES = 3;

export class Heat {
  #api;
  #editor;
  #marks;
  #mean;
  #told = new WeakMap(); // what is known of a mark
  #show;
  #timer = 0;
  #running = null;
  #model = null;
  #troubled;

  constructor(api, editor, { area, marks, detail, mean }, troubled) {
    this.#api = api;
    this.#editor = editor;
    this.#marks = marks;
    this.#mean = mean;
    this.#troubled = troubled;
    this.#show = reading(marks, detail, (mark) => this.#told.get(mark), () => marks.lastElementChild);
    const pointed = (event) => this.#show(markAt(marks, event.clientX, event.clientY));
    area.addEventListener("pointermove", (event) => event.buttons || pointed(event));
    area.addEventListener("click", pointed); // a finger points by touching
    for (const leaving of ["pointerleave", "keydown", "blur"]) area.addEventListener(leaving, () => this.#show(null));
  }

  use(model) {
    this.#model = model;
  }

  /** The text changed: it is scored when the keys rest. */
  follow(text) {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#show(null);
    if (!text) this.#mean.textContent = "";
    else this.#timer = setTimeout(() => this.#score(text), CALM + text.length / 20);
  }

  async #score(text) {
    const all = points(text);
    const skipped = Math.max(0, all.length - MOST);
    const scored = all.slice(skipped).join("");
    this.#running = new AbortController();
    const { signal } = this.#running;
    try {
      const body = { model: this.#model.id, text: scored, alternatives: ALTERNATIVES };
      const score = await this.#api.score(body, signal);
      if (signal.aborted) return;
      this.#paint(score, symbolSpans(scored, this.#model.vocabulary.kind), skipped);
      this.#mean.textContent = `${score.count.toLocaleString("en")} symbols, ${score.bits_per_symbol.toFixed(2)} bits each`;
      this.#troubled(null);
    } catch (trouble) {
      if (signal.aborted) return;
      this.#troubled(trouble);
      if (["gone", "busy"].includes(trouble.kind)) this.#timer = setTimeout(() => this.#score(text), 1000 * (trouble.seconds || 2));
    }
  }

  #paint({ symbols }, spans, skipped) {
    if (spans.length !== symbols.length) return; // no colour rather than one in the wrong place
    let first = 0;
    let at = -skipped;
    for (const { mark, grapheme } of this.#editor.marks) {
      const end = at + points(grapheme).length;
      while (first < spans.length && spans[first][1] <= at) first += 1;
      let last = first;
      while (last < spans.length && spans[last][0] < end) last += 1;
      this.#tell(mark, grapheme, at < 0 ? [] : symbols.slice(first, last));
      at = end;
    }
    const on = this.#marks.querySelector(".on");
    if (on) this.#show(on);
  }

  #tell(mark, grapheme, symbols) {
    const kept = ["newline", "on"].filter((kind) => mark.classList.contains(kind)).join(" ");
    if (!symbols.length) {
      this.#told.delete(mark);
      mark.className = kept;
      return;
    }
    const bits = symbols.reduce((sum, symbol) => sum + symbol.bits, 0);
    const [{ symbol, alternatives }] = symbols;
    const name = symbols.length === 1 ? symbol : grapheme;
    const likeliest = alternatives.map((other) => (
      { name: other.symbol, percent: percent(other.probability), came: other.symbol === symbol }
    ));
    this.#told.set(mark, { name, percent: percent(2 ** -bits), bits: bits.toFixed(2), likeliest });
    mark.className = `${kept} s${Math.max(0, Math.min(Math.floor(bits), STEPS - 1))}`;
  }
}

/** The mark under a point, below the text area. */
const markAt = (marks, x, y) => document.elementsFromPoint(x, y).find((found) => found.parentElement === marks) ?? null;

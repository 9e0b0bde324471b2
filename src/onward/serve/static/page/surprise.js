/** The surprise of the text: a colour behind each character, and details of the one under the pointer. */

import { reading } from "./reading.js";
import { percent, points, symbolSpans } from "./text.js";

const MAX_POINTS = 20_000; // only the last code points of a longer text are scored
const LEVELS = 10;
const DELAY = 120; // milliseconds without an edit before the text is scored, and one more for each 20 characters
const ALTERNATIVES = 3;

export class SurpriseView {
  #api;
  #editor;
  #marks;
  #mean;
  #details = new WeakMap(); // of each mark
  #show;
  #timer = 0;
  #running = null;
  #model = null;
  #onError;

  constructor(api, editor, { area, marks, detail, mean }, onError) {
    this.#api = api;
    this.#editor = editor;
    this.#marks = marks;
    this.#mean = mean;
    this.#onError = onError;
    this.#show = reading(marks, detail, (mark) => this.#details.get(mark), () => marks.lastElementChild);
    const showPointed = (event) => this.#show(markAt(marks, event.clientX, event.clientY));
    area.addEventListener("pointermove", (event) => event.buttons || showPointed(event));
    area.addEventListener("click", showPointed); // on touch screens
    for (const leaving of ["pointerleave", "keydown", "blur"]) area.addEventListener(leaving, () => this.#show(null));
  }

  use(model) {
    this.#model = model;
  }

  /** Scores a text after a short pause in typing. */
  update(text) {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#show(null);
    if (!text) this.#mean.textContent = "";
    else this.#timer = setTimeout(() => this.#score(text), DELAY + text.length / 20);
  }

  async #score(text) {
    const all = points(text);
    const skipped = Math.max(0, all.length - MAX_POINTS);
    const scored = all.slice(skipped).join("");
    this.#running = new AbortController();
    const { signal } = this.#running;
    try {
      const body = { model: this.#model.id, text: scored, alternatives: ALTERNATIVES };
      const score = await this.#api.score(body, signal);
      if (signal.aborted) return;
      this.#paint(score, symbolSpans(scored, this.#model.vocabulary), skipped);
      this.#mean.textContent = `${score.count.toLocaleString("en")} symbols, ${score.bits_per_symbol.toFixed(2)} bits per symbol`;
      this.#onError(null);
    } catch (error) {
      if (signal.aborted) return;
      this.#onError(error);
      if (error.isTemporary) this.#timer = setTimeout(() => this.#score(text), 1000 * (error.seconds || 2));
    }
  }

  #paint({ symbols }, spans, skipped) {
    if (spans.length !== symbols.length) return; // wrong colours would be worse than none
    let first = 0;
    let at = -skipped;
    for (const { mark, grapheme } of this.#editor.marks) {
      const end = at + points(grapheme).length;
      while (first < spans.length && spans[first][1] <= at) first += 1;
      let last = first;
      while (last < spans.length && spans[last][0] < end) last += 1;
      this.#colour(mark, grapheme, at < 0 ? [] : symbols.slice(first, last));
      at = end;
    }
    const on = this.#marks.querySelector(".on");
    if (on) this.#show(on);
  }

  #colour(mark, grapheme, symbols) {
    const kept = ["newline", "on"].filter((kind) => mark.classList.contains(kind)).join(" ");
    if (!symbols.length) {
      this.#details.delete(mark);
      mark.className = kept;
      return;
    }
    const bits = symbols.reduce((sum, symbol) => sum + symbol.bits, 0);
    const [{ symbol, alternatives }] = symbols;
    const name = symbols.length === 1 ? symbol : grapheme;
    const likeliest = alternatives.map((other) => (
      { name: other.symbol, percent: percent(other.probability), came: other.symbol === symbol }
    ));
    this.#details.set(mark, { name, percent: percent(2 ** -bits), bits: bits.toFixed(2), likeliest });
    mark.className = `${kept} s${Math.max(0, Math.min(Math.floor(bits), LEVELS - 1))}`;
  }
}

/** Returns the mark below the text area at a point of the window. */
const markAt = (marks, x, y) => document.elementsFromPoint(x, y).find((found) => found.parentElement === marks) ?? null;

/** Completions: the chosen one is ghost text after the caret, and all of them are buttons below. */

import { element, percent } from "./text.js";

const SHOWN = 3;
const SPEAK_DELAY = 700; // milliseconds without a key before a screen reader hears the completion

export class CompletionView {
  #editor;
  #area;
  #ghost;
  #list;
  #spoken;
  #all = []; // { text, probability }, best first
  #chosen = 0;
  #hidden = false;
  #timer = 0;

  constructor(editor, area, { ghost, list, spoken }) {
    this.#editor = editor;
    this.#area = area;
    this.#ghost = ghost;
    this.#list = list;
    this.#spoken = spoken;
    area.addEventListener("keydown", (event) => this.#key(event));
    area.addEventListener("blur", () => this.#draw());
    area.addEventListener("focus", () => this.#draw());
  }

  /** Shows the completions of the present text. */
  show(completions) {
    this.#all = completions.filter(({ text }) => text).slice(0, SHOWN);
    this.#chosen = 0;
    this.#draw();
  }

  /** Keeps the completions that begin with the typed text, until the server sends new ones. */
  narrow(text) {
    this.#hidden = false;
    this.#chosen = 0;
    this.#all = text
      ? this.#all.filter((each) => each.text.startsWith(text) && each.text !== text)
          .map((each) => ({ ...each, text: each.text.slice(text.length) }))
      : [];
    this.#draw();
  }

  /** Whether there is room for ghost text: nothing may follow the caret. */
  get #fits() {
    const { text, caret, composing } = this.#editor;
    return !composing && !this.#area.readOnly && caret === text.length && document.activeElement === this.#area;
  }

  get #ghostCompletion() {
    return this.#hidden || !this.#fits ? null : this.#all[this.#chosen] ?? null;
  }

  #key(event) {
    const ghost = this.#ghostCompletion;
    if (!ghost || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === "Tab") this.#accept(ghost);
    else if (event.key === "Escape") this.#hide();
    else if (event.key === "ArrowDown" && this.#all.length > 1) this.#choose(this.#chosen + 1);
    else if (event.key === "ArrowUp" && this.#chosen > 0) this.#choose(this.#chosen - 1);
    else return;
    event.preventDefault();
  }

  #accept({ text }) {
    this.#all = [];
    this.#editor.insert(text);
  }

  #hide() {
    this.#hidden = true;
    this.#draw();
  }

  #choose(index) {
    this.#chosen = index % this.#all.length;
    this.#draw();
  }

  #draw() {
    const ghost = this.#ghostCompletion;
    if (this.#area.readOnly) return this.#list.replaceChildren(); // the model is writing
    this.#ghost.textContent = ghost?.text ?? "";
    const shown = this.#hidden || this.#editor.composing || withinWord(this.#editor) ? [] : this.#all;
    const head = startedWord(this.#editor);
    this.#list.replaceChildren(...shown.map((each) => this.#button(each, head, each === ghost)));
    clearTimeout(this.#timer);
    this.#spoken.textContent = "";
    if (ghost) this.#timer = setTimeout(() => this.#speak(head + ghost.text), SPEAK_DELAY);
  }

  #button(completion, head, chosen) {
    const item = element("li");
    const button = element("button", "choice");
    button.type = "button";
    if (chosen) button.setAttribute("aria-current", "true");
    button.append(element("span", "head", head), element("b", "", completion.text.replaceAll("\n", "\u21b5")));
    button.append(element("small", "", `${percent(completion.probability, 2)} %`));
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // so that the caret does not move
    button.addEventListener("click", () => this.#accept(completion));
    item.append(button);
    return item;
  }

  #speak(text) {
    this.#spoken.textContent = `Completion: ${text}`;
  }
}

/** Whether the caret is inside a word, or something is selected. */
const withinWord = ({ text, caret }) => caret < 0 || /^[\p{L}\p{N}\p{M}_]/u.test(text.slice(caret, caret + 2));

/** Returns the letters before the caret that belong to its word. */
const startedWord = ({ text, caret }) => (caret < 0 ? "" : text.slice(0, caret).match(/[\p{L}\p{N}\p{M}_'\u2019\u200c\u200d-]*$/u)[0]);

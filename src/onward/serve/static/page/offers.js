/** Completions: the chosen one as ghost text behind the caret, all of them as buttons below. */

import { element, percent } from "./text.js";

const SHOWN = 3;
const CALM = 700; // milliseconds without a key, after which the completion is spoken

export class Offers {
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

  /** New ones, for the text as it is. */
  show(completions) {
    this.#all = completions.filter(({ text }) => text).slice(0, SHOWN);
    this.#chosen = 0;
    this.#draw();
  }

  /** The text changed: those that begin with what was typed stay, without waiting for the server. */
  typed(text) {
    this.#hidden = false;
    this.#chosen = 0;
    this.#all = text
      ? this.#all.filter((offer) => offer.text.startsWith(text) && offer.text !== text)
          .map((offer) => ({ ...offer, text: offer.text.slice(text.length) }))
      : [];
    this.#draw();
  }

  /** Whether ghost text can stand behind the caret: nothing else is there. */
  get #fits() {
    const { text, caret, composing } = this.#editor;
    return !composing && !this.#area.readOnly && caret === text.length && document.activeElement === this.#area;
  }

  get #offered() {
    return this.#hidden || !this.#fits ? null : this.#all[this.#chosen] ?? null;
  }

  #key(event) {
    const offered = this.#offered;
    if (!offered || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === "Tab") this.#accept(offered);
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
    const offered = this.#offered;
    if (this.#area.readOnly) return this.#list.replaceChildren(); // the model writes, where ghost text would be
    this.#ghost.textContent = offered?.text ?? "";
    const shown = this.#hidden || this.#editor.composing || withinWord(this.#editor) ? [] : this.#all;
    const head = startedWord(this.#editor);
    this.#list.replaceChildren(...shown.map((offer) => this.#choice(offer, head, offer === offered)));
    clearTimeout(this.#timer);
    this.#spoken.textContent = "";
    if (offered) this.#timer = setTimeout(() => this.#speak(head + offered.text), CALM);
  }

  #choice(offer, head, chosen) {
    const item = element("li");
    const button = element("button", "choice");
    button.type = "button";
    if (chosen) button.setAttribute("aria-current", "true");
    button.append(element("span", "head", head), element("b", "", offer.text.replaceAll("\n", "\u21b5")));
    button.append(element("small", "", `${percent(offer.probability, 2)} %`));
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // the caret stays where it is
    button.addEventListener("click", () => this.#accept(offer));
    item.append(button);
    return item;
  }

  #speak(text) {
    this.#spoken.textContent = `completion: ${text}`;
  }
}

/** Whether what follows the caret would run on from what were put there, or something is selected. */
const withinWord = ({ text, caret }) => caret < 0 || /^[\p{L}\p{N}_]/u.test(text.slice(caret, caret + 2));

/** The letters of the word that the caret is in or behind. */
const startedWord = ({ text, caret }) => (caret < 0 ? "" : text.slice(0, caret).match(/[\p{L}\p{N}_'\u2019-]*$/u)[0]);

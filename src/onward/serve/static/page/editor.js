/** The text area, and a layer behind it with the same text as marks that can be coloured. */

import { difference, graphemes } from "./text.js";

/**
 * The layer's text is transparent; the user reads and edits the text area itself. Only `insert` writes to the text
 * area, in a way that the browser can undo.
 */
export class Editor {
  #area;
  #marks;
  #shown = []; // the graphemes of the marks
  #elements = []; // the marks
  #composing = false;
  #last = { text: null, caret: -1 };
  #onChange;

  /**
   * `onChange({ text, caret, typed })` is called after each edit and each move of the caret. `typed` is the text that
   * was added at the end, if nothing else changed. `text` is null while an input method is active.
   */
  constructor(area, marks, onChange) {
    this.#area = area;
    this.#marks = marks;
    this.#onChange = onChange;
    area.addEventListener("compositionstart", () => this.#compose(true));
    area.addEventListener("compositionend", () => this.#compose(false));
    area.addEventListener("input", () => this.#update());
    document.addEventListener("selectionchange", () => document.activeElement === area && this.#update());
    area.addEventListener("selectionchange", () => this.#update());
  }

  get text() {
    return this.#area.value;
  }

  /** Whether an input method is active. */
  get composing() {
    return this.#composing;
  }

  /** The position of the caret, or -1 while text is selected. */
  get caret() {
    return this.#area.selectionStart === this.#area.selectionEnd ? this.#area.selectionStart : -1;
  }

  /** The marks and their graphemes, in order. */
  get marks() {
    return this.#elements.map((mark, index) => ({ mark, grapheme: this.#shown[index] }));
  }

  /** Inserts a text at the caret, as one step that the browser can undo. */
  insert(text) {
    this.#area.focus({ preventScroll: true });
    const { selectionStart, selectionEnd } = this.#area;
    this.#area.setSelectionRange(0, 0); // moving the caret ends the undo step of the text typed before
    this.#area.setSelectionRange(selectionStart, selectionEnd);
    if (document.execCommand("insertText", false, text)) return;
    this.#area.setRangeText(text, selectionStart, selectionEnd, "end");
    this.#area.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }

  /** Reads the text area. Browsers restore its text without an event when the user returns to the page. */
  refresh() {
    this.#draw(this.text);
    this.#update();
  }

  #compose(composing) {
    this.#composing = composing;
    this.#update();
  }

  #update() {
    const { text, caret } = this;
    if (text !== this.#last.text) this.#draw(text);
    if (this.#composing) {
      this.#onChange({ text: null, caret: -1, typed: "" });
      this.#last = { text, caret: null };
      return;
    }
    const last = this.#last;
    if (text === last.text && caret === last.caret) return;
    this.#last = { text, caret };
    const grown = last.text !== null && caret === text.length && last.caret === last.text.length;
    const typed = grown && text.startsWith(last.text) ? text.slice(last.text.length) : "";
    this.#onChange({ text, caret, typed });
  }

  #draw(text) {
    const next = graphemes(text);
    const { at, removed, added } = difference(this.#shown, next);
    const made = added.map((grapheme) => {
      const mark = document.createElement("i");
      if (grapheme === "\n") mark.className = "newline";
      mark.textContent = grapheme;
      return mark;
    });
    const following = this.#elements[at + removed] ?? null;
    for (const mark of this.#elements.slice(at, at + removed)) mark.remove();
    // without spread arguments, whose number is limited
    this.#elements = this.#elements.slice(0, at).concat(made, this.#elements.slice(at + removed));
    const fragment = document.createDocumentFragment();
    for (const mark of made) fragment.append(mark);
    this.#marks.insertBefore(fragment, following);
    this.#shown = next;
    const edited = this.#elements[at + added.length - 1] ?? this.#elements[at];
    // the browser scrolled before the box grew
    if (document.activeElement === this.#area) edited?.scrollIntoView({ block: "nearest" });
  }
}

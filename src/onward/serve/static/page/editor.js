/** The text area, and the layer behind it that has the same text as marks, which can be coloured. */

import { difference, graphemes } from "./text.js";

/**
 * The layer's glyphs are transparent: what is read, selected, composed and undone is the text area's own. So
 * nothing here writes to the text area but `insert`, which the browser can undo.
 */
export class Editor {
  #area;
  #marks;
  #shown = []; // the graphemes of the marks
  #elements = []; // the marks
  #composing = false;
  #last = { text: null, caret: -1 };
  #changed;

  /** `changed({ text, caret, typed })`: told of each edit and each move; `typed` is what came at the end, if only that. */
  constructor(area, marks, changed) {
    this.#area = area;
    this.#marks = marks;
    this.#changed = changed;
    area.addEventListener("compositionstart", () => this.#compose(true));
    area.addEventListener("compositionend", () => this.#compose(false));
    area.addEventListener("input", () => this.#update());
    document.addEventListener("selectionchange", () => document.activeElement === area && this.#update());
    area.addEventListener("selectionchange", () => this.#update());
  }

  get text() {
    return this.#area.value;
  }

  /** Whether an input method is at work, whose keys are its own. */
  get composing() {
    return this.#composing;
  }

  /** Where the caret is, or -1 while a part is selected. */
  get caret() {
    return this.#area.selectionStart === this.#area.selectionEnd ? this.#area.selectionStart : -1;
  }

  /** The marks and the graphemes they stand for, in order. */
  get marks() {
    return this.#elements.map((mark, index) => ({ mark, grapheme: this.#shown[index] }));
  }

  /** Puts a text at the caret as if it had been typed: the browser's undo takes it back. */
  insert(text) {
    this.#area.focus({ preventScroll: true });
    const { selectionStart, selectionEnd } = this.#area;
    this.#area.setSelectionRange(0, 0); // a caret that moves ends a step of undo: what was typed before is another
    this.#area.setSelectionRange(selectionStart, selectionEnd);
    if (document.execCommand("insertText", false, text)) return;
    this.#area.setRangeText(text, selectionStart, selectionEnd, "end");
    this.#area.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }

  /** Reads the text area, also without an event: a browser restores it when it goes back to the page. */
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
      this.#changed({ text: null, caret: -1, typed: "" });
      this.#last = { text, caret: null };
      return;
    }
    const last = this.#last;
    if (text === last.text && caret === last.caret) return;
    this.#last = { text, caret };
    const grown = last.text !== null && caret === text.length && last.caret === last.text.length;
    const typed = grown && text.startsWith(last.text) ? text.slice(last.text.length) : "";
    this.#changed({ text, caret, typed });
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
    for (const mark of this.#elements.splice(at, removed, ...made)) mark.remove();
    const fragment = document.createDocumentFragment();
    fragment.append(...made);
    this.#marks.insertBefore(fragment, following);
    this.#shown = next;
    const edited = this.#elements[at + added.length - 1] ?? this.#elements[at];
    // the browser scrolled before the box had grown
    if (document.activeElement === this.#area) edited?.scrollIntoView({ block: "nearest" });
  }
}

/** The vocabulary of a model: text to ids and back (see data/vocabulary.py). */

import { isWordPart, points, wordsOf } from "./text.js";

export const UNKNOWN = 1;
export const BEGIN = 2;
export const END = 3;
const SPECIAL = 4; // ids below are special

export class Vocabulary {
  #ids; // by symbol
  #words; // whether each id may be the inside of a word

  /** Takes the `vocabulary` of an exported page: `kind`, `lower`, `marks`, `symbols` from id 4 on, and all `names`. */
  constructor({ kind, lower, marks, symbols, names }) {
    Object.assign(this, { kind, lower, marks, names });
    /** The text of each id; for bytes, one Latin-1 character for each byte. */
    this.texts = ["\0", kind === "bytes" ? "?" : "\ufffd", "", "", ...symbols];
    this.#ids = new Map([["\0", 0], ...symbols.map((symbol, index) => [symbol, index + SPECIAL])]);
    this.#words = this.texts.map((_, id) => this.hasText(id) && isWordPart(this.textOf(id)));
  }

  get isBytes() {
    return this.kind === "bytes";
  }

  /** Returns the ids of a text; symbols outside the vocabulary are UNKNOWN. */
  encode(text) {
    return this.#split(text).map((symbol) => this.#ids.get(symbol) ?? UNKNOWN);
  }

  /** Returns the text in the case that the model reads. */
  inCase(text) {
    if (!this.lower) return text;
    if (this.isBytes) return text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
    return text.replaceAll("\u03a3", "\u03c3").toLowerCase(); // each capital sigma alike, wherever it is in a word
  }

  /** Returns the text of an id by itself; "" if it has none, such as a byte within a character. */
  textOf(id) {
    const text = this.texts[id];
    return this.isBytes && text > "\x7f" ? "" : text;
  }

  /** Whether an id is part of a text, and not one of the special ids. */
  hasText(id) {
    return id >= SPECIAL;
  }

  /** Whether an id may be the inside of a word. */
  isWord(id) {
    return this.#words[id];
  }

  /** Returns a function that decodes ids one after another; bytes wait until their character is complete. */
  decoder() {
    if (!this.isBytes) return (id) => this.texts[id];
    const utf8 = new TextDecoder();
    return (id) => utf8.decode(Uint8Array.from(this.texts[id], (byte) => byte.charCodeAt(0)), { stream: true });
  }

  #split(text) {
    const read = this.inCase(text);
    if (this.isBytes) return Array.from(new TextEncoder().encode(read), (byte) => String.fromCharCode(byte));
    return this.kind === "words" ? wordsOf(read, this.marks) : points(read);
  }
}

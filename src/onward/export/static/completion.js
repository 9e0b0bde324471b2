/**
 * The likeliest ways to continue a text to the end of a word, as inference/completion/search.py finds them: no
 * continuation is likelier than its beginning, so the likeliest beginnings are extended first.
 */

import { yielder } from "./event_loop.js";
import { likeliest, softmax } from "./distribution.js";
import { LANES } from "./engine.js";
import { endsWithoutSpaces } from "./spaceless.js";
import { isWordPart } from "./text.js";
import { END, UNKNOWN } from "./vocabulary.js";

const EFFORT = 96; // most beginnings that are extended
const FLOOR = 0.01; // least probability of a continuation
const CERTAIN = 0.5; // least probability of the next symbol for a word to go on, in a script without spaces

/**
 * Returns up to `count` continuations of at least `shortest` characters, { text, probability }, best first.
 *
 * `start` has the `state` after the text, the `probabilities` of the next symbol, and if symbols are words, `word`: the
 * letters that the first symbol begins with.
 */
export const complete = async (engine, vocabulary, start, { count, shortest }) => {
  const yieldIfDue = yielder();
  const search = new Search(vocabulary, count, shortest);
  search.begin(start);
  for (let steps = 0; steps < EFFORT; ) {
    const nodes = search.take(LANES);
    if (!nodes.length) break;
    const states = nodes.map(({ state }) => state.slice());
    const logits = engine.step(states, nodes.map(({ symbol }) => symbol));
    nodes.forEach((node, lane) => search.extend(node, softmax(logits[lane]), states[lane]));
    steps += nodes.length;
    await yieldIfDue();
  }
  return search.best();
};

/**
 * A search. A prefix is { text, hasWord, pending }; `pending` has the bytes of a character that is not complete. A node
 * is a prefix whose last symbol is not read yet.
 */
class Search {
  #vocabulary;
  #count;
  #shortest;
  #found = new Map(); // probabilities by text
  #frontier = [];

  constructor(vocabulary, count, shortest) {
    this.#vocabulary = vocabulary;
    this.#count = count;
    this.#shortest = shortest;
  }

  begin({ state, probabilities, word }) {
    if (word) this.#completeWord(word, probabilities, state);
    else this.#addChildren({ text: "", hasWord: false, pending: [] }, 1, probabilities, state);
  }

  /** Removes the likeliest nodes that may still lead to a better continuation, and returns them. */
  take(most) {
    const bar = this.#bar;
    this.#frontier = this.#frontier.filter(({ probability }) => probability > bar).sort(byProbability);
    return this.#frontier.splice(0, most);
  }

  /** Adds what follows a node: `probabilities` of the symbols after it, and the `state` after it. */
  extend({ prefix, probability }, probabilities, state) {
    const mayEnd = prefix.hasWord && !prefix.pending.length && endsWithoutSpaces(prefix.text);
    if (mayEnd && probabilities[likeliest(probabilities, 1)] < CERTAIN) this.#add(prefix.text, probability);
    else this.#addChildren(prefix, probability, probabilities, state);
  }

  best() {
    const all = Array.from(this.#found, ([text, probability]) => ({ text, probability }));
    return all.filter(({ probability }) => probability >= FLOOR).sort(byProbability).slice(0, this.#count);
  }

  get #bar() {
    const best = [...this.#found.values()].sort((a, b) => b - a);
    return Math.max(FLOOR, best[this.#count - 1] ?? 0);
  }

  #add(text, probability) {
    if (Array.from(text).length < this.#shortest) return;
    this.#found.set(text, (this.#found.get(text) ?? 0) + probability);
  }

  #addChildren(prefix, probability, probabilities, state) {
    const vocabulary = this.#vocabulary;
    const isWhole = prefix.text && !prefix.pending.length;
    let ending = isWhole ? probabilities[END] : 0;
    probabilities.forEach((share, symbol) => {
      if (!vocabulary.hasText(symbol)) return;
      const whole = !prefix.pending.length && vocabulary.textOf(symbol);
      if (whole && prefix.hasWord && !vocabulary.isWord(symbol)) ending += share;
      else if (probability * share > FLOOR) this.#addChild(prefix, symbol, probability * share, state);
    });
    if (isWhole) this.#add(prefix.text, probability * ending);
  }

  #addChild(prefix, symbol, probability, state) {
    const longer = this.#longer(prefix, symbol);
    if (!longer) return;
    // only the last byte of a character shows that it ends a word
    if (longer.ends) this.#add(prefix.text, probability);
    else this.#frontier.push({ prefix: longer, symbol, probability, state });
  }

  /** Returns a prefix with one more symbol, or null if its bytes are no text. */
  #longer(prefix, symbol) {
    const added = this.#vocabulary.isBytes
      ? character([...prefix.pending, this.#vocabulary.texts[symbol].charCodeAt(0)])
      : { text: this.#vocabulary.texts[symbol], pending: [] };
    if (!added) return null;
    if (added.pending.length) return { ...prefix, pending: added.pending };
    const isWord = isWordPart(added.text);
    const text = prefix.text + added.text;
    return { text, hasWord: prefix.hasWord || isWord, pending: [], ends: prefix.hasWord && !isWord };
  }

  /** Adds the symbols whose text begins with the letters of a word. */
  #completeWord(word, probabilities, state) {
    const { texts } = this.#vocabulary;
    const begins = (text, symbol) => this.#vocabulary.hasText(symbol) && text.startsWith(word);
    const symbols = texts.flatMap((text, symbol) => (begins(text, symbol) ? symbol : []));
    const total = symbols.reduce((sum, symbol) => sum + probabilities[symbol], 0);
    const nothing = { text: "", hasWord: false, pending: [] };
    if (!total) this.#frontier.push({ prefix: nothing, symbol: UNKNOWN, probability: 1, state });
    for (const symbol of total ? symbols : []) {
      const text = texts[symbol].slice(word.length);
      const prefix = text ? { text, hasWord: true, pending: [] } : nothing;
      this.#frontier.push({ prefix, symbol, probability: probabilities[symbol] / total, state });
    }
  }
}

const byProbability = (one, other) => other.probability - one.probability;

/** Returns the character of some bytes as `text`, or the bytes as `pending` if it is not complete; else null. */
const character = (bytes) => {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const text = decoder.decode(Uint8Array.from(bytes), { stream: true });
    return text ? { text, pending: [] } : { text, pending: bytes };
  } catch {
    return null;
  }
};

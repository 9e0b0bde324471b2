/** A model in this page, which answers the requests of the typing page in place of the server's api.js. */

import { yielder } from "./event_loop.js";
import { complete } from "./completion.js";
import { likeliest } from "./distribution.js";
import { Engine } from "./engine.js";
import { FollowedText } from "./followed_text.js";
import { randomNumbers, randomSeed } from "./random.js";
import { isWordPart } from "./text.js";
import { END, Vocabulary } from "./vocabulary.js";

const COLDEST = 1e-4; // a lower temperature takes the likeliest symbol
const NO_SOCKET = { isOpen: false, isLost: false, close() {} };

const content = (id) => document.getElementById(id).textContent;

/** Returns the bytes in an element, which holds them in base64. */
const bytes = (id) => {
  const characters = atob(content(id));
  const found = new Uint8Array(characters.length);
  for (let at = 0; at < found.length; at += 1) found[at] = characters.charCodeAt(at); // ten times as fast as `from`
  return found;
};

/** Reads the model in the page (see export/page.py). */
const load = async () => {
  const exported = JSON.parse(content("exported"));
  try {
    const engine = await Engine.load(bytes("wasm"), exported.program, bytes("weights"));
    return { engine, exported, vocabulary: new Vocabulary(exported.vocabulary) };
  } catch (error) {
    const message = `this browser cannot run the model: ${error.message}`;
    throw Object.assign(new Error(message), { hint: "open the page in a newer browser" });
  }
};

export class Api {
  #engine;
  #vocabulary;
  #exported;
  #text = []; // the code points of the session
  #typed; // the text of the session, as the model has read it
  #other; // the last text that was not that of the session, such as the end of a very long one

  /** Returns the models of the page, once the one in it is loaded. */
  async models() {
    const { engine, vocabulary, exported } = await load();
    this.#engine = engine;
    this.#vocabulary = vocabulary;
    this.#exported = exported;
    this.#typed = new FollowedText(engine);
    this.#other = new FollowedText(engine);
    return [exported.model];
  }

  model = async () => this.#exported.model;
  curve = async () => this.#exported.curve;
  connect = () => NO_SOCKET;

  deleteSession() {}

  createSession({ text, ...options }) {
    this.#text = Array.from(text);
    return this.#predict(options);
  }

  editSession(_, { at, delete: removed = 0, insert = "", ...options }) {
    if (at !== undefined) this.#text.splice(at, removed, ...Array.from(insert));
    return this.#predict(options);
  }

  /** Returns the surprise of each symbol of a text. */
  async score({ text }, signal) {
    const vocabulary = this.#vocabulary;
    const ids = vocabulary.encode(text);
    const { scores } = await this.#reader(text).follow(ids, signal);
    const name = (id) => vocabulary.names[id];
    const symbols = scores.map(({ probability, likeliest: others }, index) => ({
      symbol: name(ids[index]),
      bits: -Math.log2(probability),
      alternatives: others.map(([id, chance]) => ({ symbol: name(id), probability: chance })),
    }));
    const bits = symbols.reduce((sum, symbol) => sum + symbol.bits, 0);
    return { count: symbols.length, bits, bits_per_symbol: bits / symbols.length, symbols };
  }

  /** Yields the text that the model writes after a prompt. */
  async *complete({ prompt, max_tokens: length, temperature, seed = randomSeed() }, signal) {
    const yieldIfDue = yielder();
    const options = { temperature: temperature < COLDEST ? 0 : temperature, never: this.#exported.never };
    const chance = randomNumbers(seed);
    const decode = this.#vocabulary.decoder();
    let { before: state, last } = await this.#reader(prompt).follow(this.#idsAfterBeginning(prompt), signal);
    let text = "";
    for (let written = 0; written < length; written += 1) {
      last = this.#engine.write(state, last, { ...options, chance: chance() });
      if (last === END) break;
      text += decode(last);
      if (!(await yieldIfDue())) continue;
      signal.throwIfAborted();
      yield text;
      text = "";
    }
    yield text;
  }

  /** Returns the answer to an edit: completions at the cursor, and the likeliest next symbols. */
  async #predict({ cursor, completions: count, next }) {
    const text = this.#text.slice(0, cursor).join("");
    const word = this.#vocabulary.kind === "words" ? lastWord(text) : "";
    const head = text.slice(0, text.length - word.length);
    const ids = word ? this.#vocabulary.encode(head) : this.#idsAfterBeginning(head);
    const { after, probabilities } = await this.#typed.follow(ids);
    const start = { state: after, probabilities, word: this.#vocabulary.inCase(word) };
    const completions = await complete(this.#engine, this.#vocabulary, start, { count, shortest: 2 });
    const symbols = likeliest(probabilities, next);
    const named = symbols.map((id) => ({ symbol: this.#vocabulary.names[id], probability: probabilities[id] }));
    return { id: "typed", version: 0, completions, next: named };
  }

  #reader(text) {
    return text === this.#text.join("") ? this.#typed : this.#other;
  }

  /** Returns the ids of a text; of an empty one, the ids after which a text begins. */
  #idsAfterBeginning(text) {
    return text ? this.#vocabulary.encode(text) : this.#exported.beginning;
  }
}

/** Returns the letters at the end of a text, which may be the beginning of a word. */
const lastWord = (text) => {
  let start = text.length;
  const from = (index) => String.fromCodePoint(text.codePointAt(index));
  for (let index = start - 1; index >= 0; index -= 1) {
    if (/^[\udc00-\udfff]/.test(text[index]) && index) index -= 1;
    if (!isWordPart(from(index))) break;
    start = index;
  }
  return text.slice(start);
};

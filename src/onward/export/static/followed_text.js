/** A text as the model has read it. The model follows the edits: it goes back to an earlier state, and reads on. */

import { breathing } from "./breathing.js";
import { likeliest, softmax } from "./distribution.js";
import { BEGIN } from "./vocabulary.js";

const NEAR = 64; // the states before each of the last symbols are kept,
const FAR = 64; // and of earlier ones, one of this many

export class FollowedText {
  #engine;
  #alternatives;
  #read = []; // the ids, from BEGIN on
  #states = new Map(); // before each of some positions of #read
  #scores = []; // of each position of #read: { probability, likeliest: [[id, probability]] }
  #probabilities = null; // of the symbol after #read
  #last = Promise.resolve();

  /** With `alternatives`, each symbol is scored, with that number of likely symbols in its place. */
  constructor(engine, alternatives = 0) {
    this.#engine = engine;
    this.#alternatives = alternatives;
    this.#states.set(0, engine.emptyState());
  }

  /**
   * Reads a text, and returns what follows from it: `state` before its last symbol, `last`, the id of that symbol,
   * `after`, the state after it, `probabilities` of the next symbol, and the `scores` of the ids. An empty text has
   * BEGIN alone. A later call waits for an earlier one. Rejects once the signal is aborted.
   */
  follow(ids, signal) {
    const found = this.#last.then(() => this.#follow([BEGIN, ...ids], signal));
    this.#last = found.catch(() => {});
    return found;
  }

  async #follow(stream, signal) {
    signal?.throwIfAborted();
    const breathe = breathing();
    const start = this.#rewind(stream);
    const state = this.#states.get(start).slice();
    for (let at = start; at < stream.length; at += 1) {
      await breathe();
      signal?.throwIfAborted();
      this.#keep(at, state);
      const [logits] = this.#engine.step([state], [stream[at]]);
      this.#read[at] = stream[at];
      this.#probabilities = softmax(logits);
      if (this.#alternatives && at + 1 < stream.length) this.#scores[at + 1] = this.#score(stream[at + 1]);
    }
    const before = this.#states.get(stream.length - 1).slice();
    return {
      state: before, last: stream.at(-1), after: state, probabilities: this.#probabilities, scores: this.#scores.slice(1),
    };
  }

  /** Forgets what is not the beginning of a stream, and returns the position from which to read it again. */
  #rewind(stream) {
    const longest = Math.min(stream.length, this.#read.length);
    let same = 0;
    while (same < longest && stream[same] === this.#read[same]) same += 1;
    let start = Math.max(0, same - 1); // at least one symbol, for its logits
    while (!this.#states.has(start)) start -= 1;
    for (const position of this.#states.keys()) if (position > start) this.#states.delete(position);
    this.#read.length = start;
    this.#scores.length = Math.min(this.#scores.length, start + 1);
    return start;
  }

  #keep(position, state) {
    this.#states.set(position, state.slice());
    const old = position - NEAR;
    if (old % FAR) this.#states.delete(old);
  }

  #score(id) {
    const all = this.#probabilities;
    return { probability: all[id], likeliest: likeliest(all, this.#alternatives).map((other) => [other, all[other]]) };
  }
}

/** A text as the model has read it. The model follows the edits: it goes back to an earlier state, and reads on. */

import { yielder } from "./event_loop.js";
import { likeliest, softmax } from "./distribution.js";
import { BEGIN } from "./vocabulary.js";

const NEAR = 64; // the states before each of the last symbols are kept,
const FAR = 64; // and of earlier ones, one of this many
const ALTERNATIVES = 3; // likely symbols that are kept for each position

export class FollowedText {
  #engine;
  #read = []; // the ids, from BEGIN on
  #states = new Map(); // before each of some positions of #read
  #scores = []; // of each position of #read: { probability, likeliest: [[id, probability]] }
  #last = Promise.resolve();

  constructor(engine) {
    this.#engine = engine;
    this.#states.set(0, engine.emptyState());
  }

  /**
   * Reads a text, and returns what follows from it: `last`, the id of its last symbol, the states `before` and `after`
   * that symbol, `probabilities` of the next symbol, and the `scores` of the ids. An empty text has BEGIN alone.
   *
   * What was read stays in memory while texts are its beginnings. A later call waits for an earlier one. Rejects once
   * the signal is aborted.
   */
  follow(ids, signal) {
    const found = this.#last.then(() => this.#follow([BEGIN, ...ids], signal));
    this.#last = found.catch(() => {});
    return found;
  }

  async #follow(stream, signal) {
    signal?.throwIfAborted();
    const yieldIfDue = yielder();
    const same = this.#same(stream);
    if (same < stream.length) this.#forget(same);
    let at = Math.max(0, same - 1); // at least one symbol is read again, for the probabilities after it
    while (!this.#states.has(at)) at -= 1;
    const state = this.#states.get(at).slice();
    for (; ; at += 1) {
      await yieldIfDue();
      signal?.throwIfAborted();
      if (same < stream.length) this.#keep(at, state);
      const isLast = at === stream.length - 1;
      const before = isLast ? state.slice() : null;
      const [logits] = this.#engine.step([state], [stream[at]]);
      this.#read[at] = stream[at];
      if (isLast) {
        const scores = this.#scores.slice(1, stream.length);
        return { last: stream[at], before, after: state, probabilities: softmax(logits), scores };
      }
      this.#scores[at + 1] ??= score(softmax(logits), stream[at + 1]);
    }
  }

  /** Returns the number of symbols at the beginning that are the same as those that were read. */
  #same(stream) {
    const longest = Math.min(stream.length, this.#read.length);
    let same = 0;
    while (same < longest && stream[same] === this.#read[same]) same += 1;
    return same;
  }

  /** Forgets everything from a position on. */
  #forget(position) {
    this.#read.length = position;
    this.#scores.length = Math.min(this.#scores.length, position);
    for (const kept of this.#states.keys()) if (kept > position) this.#states.delete(kept);
  }

  #keep(position, state) {
    this.#states.set(position, state.slice());
    const old = position - NEAR;
    if (old % FAR) this.#states.delete(old);
  }
}

const score = (probabilities, id) => {
  const others = likeliest(probabilities, ALTERNATIVES);
  return { probability: probabilities[id], likeliest: others.map((other) => [other, probabilities[other]]) };
};

/** A session on the server that follows the text of the page. */

import { Pause } from "./pause.js";
import { difference, points } from "./text.js";

/**
 * One request at a time, each with all that changed since the last: so answers come in order, and a slow server gets
 * fewer and larger edits. Only an answer to the newest text is passed on. A session that the server has lost is made
 * again with the text at hand, without a word.
 */
export class Typing {
  #api;
  #asks;
  #answered;
  #troubled;
  #wanted = { text: "", cursor: 0 };
  #session = null; // { id, wire, version, reader, points } as the server has it
  #reader = null; // { model, adapt }
  #running = false;
  #pause = new Pause();

  /** `asks`: what is wanted of each answer; `answered(answer)`, `troubled(trouble | null)`: told what comes. */
  constructor(api, asks, { answered, troubled }) {
    this.#api = api;
    this.#asks = asks;
    this.#answered = answered;
    this.#troubled = troubled;
  }

  /** The text and the cursor (in UTF-16 units) are now these. */
  follow(text, cursor) {
    this.#wanted = { text, cursor: points(text.slice(0, cursor)).length };
    this.#start();
  }

  /** Another model reads the text from now on, or the same one, and learns from it or not. */
  use(model, adapt) {
    if (model === this.#reader?.model && adapt === this.#reader.adapt) return;
    if (this.#running) this.#session = null; // the request in flight gives it back when it is answered
    else this.end();
    this.#reader = { model, adapt };
    this.#wanted = { ...this.#wanted };
    this.#start();
  }

  /** Tries at once what it was about to try later. */
  retry() {
    this.#pause.end();
    this.#wanted = { ...this.#wanted };
    this.#start();
  }

  /** Gives the session back. */
  end() {
    if (this.#session) this.#api.close(this.#session);
    this.#session = null;
  }

  async #start() {
    if (this.#running || !this.#reader) return;
    this.#running = true;
    let done = null;
    let failures = 0;
    while (done !== this.#wanted) {
      const wanted = this.#wanted;
      try {
        const answer = await this.#send(wanted);
        failures = 0;
        this.#troubled(null);
        done = wanted;
        if (wanted === this.#wanted && answer.next) this.#answered(answer);
      } catch (trouble) {
        if (trouble.kind === "lost" && failures < 3) this.#forget();
        else {
          this.#troubled(trouble);
          if (!["gone", "busy"].includes(trouble.kind)) done = wanted; // waiting would not help
          else await this.#pause.after(trouble, failures);
        }
        failures += 1;
      }
    }
    this.#running = false;
  }

  async #send({ text, cursor }) {
    const reader = this.#reader;
    const now = points(text);
    const known = this.#session?.reader === reader ? this.#session : null;
    const answer = known
      ? await this.#api.edit(known, { ...this.#asks, ...changes(known, now), cursor, version: known.version })
      : await this.#api.open({ ...this.#asks, ...reader, text: now.join(""), cursor });
    this.#keep({ id: answer.id, wire: known?.wire, version: answer.version, reader, points: now });
    return answer;
  }

  /** Goes on with a session, or gives it back if another reader was chosen while it was asked. */
  #keep(session) {
    if (session.reader !== this.#reader) return this.#api.close(session);
    if (!session.wire || session.wire.isCut) session.wire = this.#api.wire(session.id);
    this.#session = session;
  }

  /** Forgets a session that the server does not have any more. */
  #forget() {
    this.#session?.wire.close();
    this.#session = null;
  }
}

const changes = (known, now) => {
  const { at, removed, added } = difference(known.points, now);
  return removed || added.length ? { at, delete: removed, insert: added.join("") } : {};
};

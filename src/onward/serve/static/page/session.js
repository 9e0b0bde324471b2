/** A session on the server that follows the text of the page. */

import { Backoff } from "./backoff.js";
import { difference, points } from "./text.js";

/**
 * Sends one request at a time, with everything that changed since the last one. So answers come in order, and a slow
 * server gets fewer and larger edits. Only an answer to the newest text is passed on. A session that the server has
 * lost is created again from the text.
 */
export class Session {
  #api;
  #options;
  #onAnswer;
  #onError;
  #target = { text: "", cursor: 0 }; // what the server should have
  #known = null; // what the server has: { id, socket, version, model, points }
  #model = null; // { model, adapt }
  #running = false;
  #backoff = new Backoff();

  /** `options` are sent with each request. `onAnswer(answer)` and `onError(error | null)` report its outcome. */
  constructor(api, options, { onAnswer, onError }) {
    this.#api = api;
    this.#options = options;
    this.#onAnswer = onAnswer;
    this.#onError = onError;
  }

  /** Sets the text and the cursor, which counts UTF-16 units. */
  update(text, cursor) {
    this.#target = { text, cursor: points(text.slice(0, cursor)).length };
    this.#send();
  }

  /** Chooses the model, and whether it learns from the text. */
  use(model, adapt) {
    if (model === this.#model?.model && adapt === this.#model.adapt) return;
    if (this.#running) this.#known = null; // the running request deletes the session once it is answered
    else this.end();
    this.#model = { model, adapt };
    this.#target = { ...this.#target };
    this.#send();
  }

  /** Tries again at once. */
  retry() {
    this.#backoff.end();
    this.#target = { ...this.#target };
    this.#send();
  }

  /** Deletes the session on the server. */
  end() {
    if (this.#known) this.#api.deleteSession(this.#known);
    this.#known = null;
  }

  async #send() {
    if (this.#running || !this.#model) return;
    this.#running = true;
    let sent = null;
    let failures = 0;
    while (sent !== this.#target) {
      const target = this.#target;
      try {
        const answer = await this.#request(target);
        failures = 0;
        this.#onError(null);
        sent = target;
        if (target === this.#target && answer.next) this.#onAnswer(answer);
      } catch (error) {
        if (error.kind === "lost" && failures < 3) this.#forget();
        else {
          this.#onError(error);
          if (error.isTemporary) await this.#backoff.after(error, failures);
          else sent = target; // the same request would fail again
        }
        failures += 1;
      }
    }
    this.#running = false;
  }

  async #request({ text, cursor }) {
    const model = this.#model;
    const now = points(text);
    const known = this.#known?.model === model ? this.#known : null;
    const answer = known
      ? await this.#api.editSession(known, { ...this.#options, ...edit(known.points, now), cursor, version: known.version })
      : await this.#api.createSession({ ...this.#options, ...model, text: now.join(""), cursor });
    this.#keep({ id: answer.id, socket: known?.socket, version: answer.version, model, points: now });
    return answer;
  }

  /** Keeps a session, or deletes it if another model was chosen during the request. */
  #keep(session) {
    if (session.model !== this.#model) return this.#api.deleteSession(session);
    if (!session.socket || session.socket.isLost) session.socket = this.#api.connect(session.id);
    this.#known = session;
  }

  #forget() {
    this.#known?.socket.close();
    this.#known = null;
  }
}

const edit = (before, after) => {
  const { at, removed, added } = difference(before, after);
  return removed || added.length ? { at, delete: removed, insert: added.join("") } : {};
};

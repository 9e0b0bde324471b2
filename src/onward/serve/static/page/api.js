/** The server's endpoints. What goes wrong is a `Trouble`. */

import { PATIENCE, Wire, asBytes } from "./wire.js";

/**
 * What went wrong with a request, by `kind`: "gone" (no answer), "token" (it asks for one), "busy" (try again
 * in `seconds`), "lost" (it does not know the session as we do), "refused" (it says why, and of which field).
 */
export class Trouble extends Error {
  constructor(kind, message, { hint = "", param = "", seconds = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, hint, param, seconds });
  }
}

const KINDS = {
  busy: "busy", stopping: "busy", invalid_token: "token",
  session_gone: "lost", session_not_found: "lost", version_conflict: "lost",
};

/** The trouble that an error of the server is; "gone" if none of its own came. */
const troubleOf = ({ message, code, hint, param }, seconds = 1) =>
  new Trouble(KINDS[code] ?? "refused", message, { hint, param, seconds });

const refusalOf = async (response) => {
  const { error } = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || 1;
  if (error?.message) return troubleOf(error, seconds);
  const message = `the server answered ${response.status}`;
  if (response.status === 429 || response.status === 503) return new Trouble("busy", message, { seconds });
  return new Trouble(response.status >= 502 ? "gone" : "refused", message);
};

export class Api {
  #token = sessionStorage.getItem("onward.token") ?? "";

  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    sessionStorage.setItem("onward.token", token);
  }

  models = async () => (await this.#json("GET", "v1/models")).data;
  model = (id) => this.#json("GET", `v1/models/${encodeURIComponent(id)}`);
  curve = (id) => this.#json("GET", `v1/models/${encodeURIComponent(id)}/curve`);
  open = (body) => this.#json("POST", "v1/sessions", body);
  wire = (id) => new Wire(id, this.#token);
  score = (body, signal) => this.#json("POST", "v1/score", body, signal);

  /** An edit of a session, through its wire while that is open: sent twice, it finds that the version has changed. */
  async edit({ id, wire }, body) {
    const answer = wire.isOpen ? await wire.ask(body) : null;
    if (answer?.error) throw troubleOf(answer.error);
    return answer ?? this.#json("POST", `v1/sessions/${encodeURIComponent(id)}/edit`, body);
  }

  /** Ends a session; also works while the page is being left. */
  close({ id, wire }) {
    wire?.close();
    const options = { method: "DELETE", headers: this.#headers(), keepalive: true };
    fetch(`v1/sessions/${encodeURIComponent(id)}`, options).catch(() => {});
  }

  /** The pieces that are written after a prompt, as they come. */
  async *write(body, signal) {
    const response = await this.#send("POST", "v1/completions", { ...body, stream: true }, signal);
    let rest = "";
    for await (const piece of decoded(response, signal)) {
      const lines = (rest + piece).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw troubleOf(event.error);
        if (event.choices[0]?.text) yield event.choices[0].text;
      }
    }
    throw new Trouble("refused", "the server went away while it wrote");
  }

  /** For the endpoints of another page: the JSON of an answer, */
  json = (method, path, body, signal) => this.#json(method, path, body, signal);

  /** and an answer that is read as it comes (see `decoded`). */
  send = (method, path, body, signal) => this.#send(method, path, body, signal);

  async #json(method, path, body, signal) {
    const late = AbortSignal.timeout(PATIENCE);
    const response = await this.#send(method, path, body, signal ? AbortSignal.any([signal, late]) : late);
    return response.json().catch((error) => Promise.reject(lostOn(error, signal)));
  }

  async #send(method, path, body, signal) {
    const options = { method, headers: this.#headers(), body: body && JSON.stringify(body), signal, cache: "no-store" };
    const response = await fetch(path, options).catch((error) => Promise.reject(lostOn(error, signal)));
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  #headers() {
    const headers = { "Content-Type": "application/json" };
    return this.#token ? { ...headers, Authorization: `Bearer ${asBytes(this.#token)}` } : headers;
  }
}

/** An error of the network: a trouble, unless we ended the request ourselves. */
const lostOn = (error, signal) =>
  signal?.aborted && signal.reason?.name !== "TimeoutError" ? error : new Trouble("gone", "the server does not answer");

/** The text of an answer, as it comes. */
export async function* decoded(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => Promise.reject(lostOn(error, signal)));
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

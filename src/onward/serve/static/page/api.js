/** The server's endpoints. */

import { SessionSocket, TIMEOUT, utf8Bytes } from "./session_socket.js";

/**
 * A request that failed. `kind` is one of "offline" (no answer), "token" (the server needs one), "busy" (try again in
 * `seconds`), "lost" (the server has no such session, or another version of it) and "refused" (see the message).
 */
export class RequestError extends Error {
  constructor(kind, message, { hint = "", param = "", seconds = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, hint, param, seconds });
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.kind === "offline" || this.kind === "busy";
  }
}

const KINDS = {
  busy: "busy", stopping: "busy", invalid_token: "token",
  session_gone: "lost", session_not_found: "lost", version_conflict: "lost",
};

const requestError = ({ message, code, hint, param }, seconds = 1) =>
  new RequestError(KINDS[code] ?? "refused", message, { hint, param, seconds });

const errorOfResponse = async (response) => {
  const { error } = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || 1;
  if (error?.message) return requestError(error, seconds);
  const message = `the server answered with status ${response.status}`; // a proxy's answer, not the server's
  if (response.status === 429 || response.status === 503) return new RequestError("busy", message, { seconds });
  return new RequestError(response.status >= 502 ? "offline" : "refused", message);
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

  models = async () => (await this.json("GET", "v1/models")).data;
  model = (id) => this.json("GET", `v1/models/${encodeURIComponent(id)}`);
  curve = (id) => this.json("GET", `v1/models/${encodeURIComponent(id)}/curve`);
  /** Whether the server has a page of alarms. */
  watches = async () => (await this.json("GET", "v1/watch").catch(() => null))?.data.length > 0;
  createSession = (body) => this.json("POST", "v1/sessions", body);
  connect = (id) => new SessionSocket(id, this.#token);
  score = (body, signal) => this.json("POST", "v1/score", body, signal);

  /**
   * Edits a session, through its WebSocket if that is open. If the WebSocket fails, the edit is sent again over HTTP:
   * its version then shows whether the first one arrived.
   */
  async editSession({ id, socket }, body) {
    const answer = socket.isOpen ? await socket.ask(body) : null;
    if (answer?.error) throw requestError(answer.error);
    return answer ?? this.json("POST", `v1/sessions/${encodeURIComponent(id)}/edit`, body);
  }

  /** Ends a session. It works while the page is being closed, too. */
  deleteSession({ id, socket }) {
    socket?.close();
    const options = { method: "DELETE", headers: this.#headers(), keepalive: true };
    fetch(`v1/sessions/${encodeURIComponent(id)}`, options).catch(() => {});
  }

  /** Yields the text of a completion, as it comes. */
  async *complete(body, signal) {
    const response = await this.stream("POST", "v1/completions", { ...body, stream: true }, signal);
    let rest = "";
    for await (const chunk of textChunks(response, signal)) {
      const lines = (rest + chunk).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw requestError(event.error);
        if (event.choices[0]?.text) yield event.choices[0].text;
      }
    }
    throw new RequestError("refused", "the connection to the server ended before the text was complete");
  }

  /** Sends a request and returns the JSON of its answer. */
  async json(method, path, body, signal) {
    const timeout = AbortSignal.timeout(TIMEOUT);
    const response = await this.stream(method, path, body, signal ? AbortSignal.any([signal, timeout]) : timeout);
    return response.json().catch((error) => Promise.reject(networkError(error, signal)));
  }

  /** Sends a request and returns the response, to be read as it comes (see `textChunks`). */
  async stream(method, path, body, signal) {
    const options = { method, headers: this.#headers(), body: body && JSON.stringify(body), signal, cache: "no-store" };
    const response = await fetch(path, options).catch((error) => Promise.reject(networkError(error, signal)));
    if (!response.ok) throw await errorOfResponse(response);
    return response;
  }

  #headers() {
    const headers = { "Content-Type": "application/json" };
    return this.#token ? { ...headers, Authorization: `Bearer ${utf8Bytes(this.#token)}` } : headers;
  }
}

/** The error of a request that got no answer, or the error itself if the page cancelled the request. */
const networkError = (error, signal) =>
  signal?.aborted && signal.reason?.name !== "TimeoutError"
    ? error
    : new RequestError("offline", "the server does not answer");

/** Yields the text of a response, as it comes. */
export async function* textChunks(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => Promise.reject(networkError(error, signal)));
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

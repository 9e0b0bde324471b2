/** The WebSocket of a session. An edit through it is answered sooner than one over HTTP. */

export const TIMEOUT = 15_000; // milliseconds without an answer, after which the server counts as offline

/** Sends one edit at a time. While it is not open, edits go over HTTP. */
export class SessionSocket {
  #socket;
  #resolve = () => {};
  #wasOpen = false;
  #closing = false;

  constructor(id, token) {
    const url = new URL(`v1/sessions/${encodeURIComponent(id)}/ws`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url, ["onward", ...(token ? [`onward.token.${base64url(token)}`] : [])]);
    this.#socket.addEventListener("open", () => (this.#closing ? this.#socket.close() : (this.#wasOpen = true)));
    this.#socket.addEventListener("message", ({ data }) => this.#resolve(JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#resolve(null));
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether it was open and then closed, so that a new one would probably work. */
  get isLost() {
    return this.#wasOpen && !this.isOpen;
  }

  /** Returns the answer to an edit, or null if the connection ends first. */
  ask(body) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.close(), TIMEOUT);
      this.#resolve = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#socket.send(JSON.stringify(body));
    });
  }

  close() {
    this.#closing = true;
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#socket.close(); // browsers log an error otherwise
    this.#resolve(null);
  }
}

/** Returns the UTF-8 bytes of a text, one character for each: headers cannot have other characters. */
export const utf8Bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

const base64url = (text) => btoa(utf8Bytes(text)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** The WebSocket of a session: an edit through it is answered sooner than a request of its own. */

export const PATIENCE = 15_000; // milliseconds until a server that says nothing counts as gone

/** One edit at a time. What it cannot do, because it is not open yet or no more, is for HTTP to do. */
export class Wire {
  #socket;
  #answered = () => {};
  #opened = false;
  #closing = false;

  constructor(id, token) {
    const url = new URL(`v1/sessions/${encodeURIComponent(id)}/ws`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url, ["onward", ...(token ? [`onward.token.${coded(token)}`] : [])]);
    this.#socket.addEventListener("open", () => (this.#closing ? this.#socket.close() : (this.#opened = true)));
    this.#socket.addEventListener("message", ({ data }) => this.#answered(JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#answered(null));
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether it was open, and ended: another one would work. */
  get isCut() {
    return this.#opened && !this.isOpen;
  }

  /** What the server says to an edit; null if the connection ends before it does. */
  ask(body) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.close(), PATIENCE);
      this.#answered = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#socket.send(JSON.stringify(body));
    });
  }

  close() {
    this.#closing = true;
    if (this.#socket.readyState !== WebSocket.CONNECTING) this.#socket.close(); // else a browser would complain
    this.#answered(null);
  }
}

/** A text as its bytes in UTF-8, each a letter of a string: headers have no other letters. */
export const asBytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/** A token in the letters that a subprotocol may have: base64url. */
const coded = (token) => btoa(asBytes(token)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Makes the site's search work in pages opened as files, where browsers start no workers.
 *
 * Runs the worker's script in a hidden frame instead, and passes messages as events. The file keeps the name
 * `iframe-worker`: the documentation builder's `offline` plugin looks for it, and else links to one on another server.
 */
class FrameWorker extends EventTarget {
  onmessage = null;
  onerror = null;
  #frame = document.createElement("iframe");
  #ready;

  constructor(url) {
    super();
    this.#frame.hidden = true;
    document.body.append(this.#frame);
    const { contentDocument: page, contentWindow: inside } = this.#frame;
    page.open();
    page.write("<!doctype html><body>");
    page.close();
    const script = new URL(url, document.baseURI);
    const load = (address) =>
      new Promise((resolve, reject) => {
        const element = page.createElement("script");
        element.onload = resolve;
        element.onerror = () => reject(new Error(`cannot load ${address}`));
        element.src = new URL(address, script);
        page.body.append(element);
      });
    inside.postMessage = (data) => this.#emit(new MessageEvent("message", { data }));
    inside.importScripts = (...addresses) =>
      addresses.reduce((before, next) => before.then(() => load(next)), Promise.resolve());
    this.#ready = load(script);
    this.#ready.catch((error) => this.#emit(new ErrorEvent("error", { error })));
  }

  postMessage(data) {
    const inside = this.#frame.contentWindow;
    this.#ready.then(() => inside.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.#frame.remove();
  }

  #emit(event) {
    this.dispatchEvent(event);
    this[`on${event.type}`]?.(event);
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;

/** The search of this site in pages that are opened as files, where browsers start no workers.
 *
 * The script of a worker runs in a hidden frame instead; messages go to and fro as events. The name is the one by
 * which the plugin `offline` of mkdocs-material knows that it need not fetch such a script from elsewhere.
 */
class FrameWorker extends EventTarget {
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
    const own = new URL(url, document.baseURI);
    const load = (address) =>
      new Promise((resolve, reject) => {
        const script = page.createElement("script");
        script.onload = resolve;
        script.onerror = () => reject(new Error(`cannot load ${address}`));
        script.src = new URL(address, own);
        page.body.append(script);
      });
    inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    inside.importScripts = (...addresses) => addresses.reduce((before, next) => before.then(() => load(next)), Promise.resolve());
    this.#ready = load(own);
    this.#ready.catch((error) => this.dispatchEvent(new ErrorEvent("error", { error })));
  }

  postMessage(data) {
    const inside = this.#frame.contentWindow;
    this.#ready.then(() => inside.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.#frame.remove();
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;

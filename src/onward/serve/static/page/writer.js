/** "Continue": the model continues the text until it is stopped. */

const LENGTH = 1000; // symbols of one request

/**
 * The written text stays in the layer until the end. Then it enters the text area at once, so that one undo removes it.
 */
export class Writer {
  #api;
  #editor;
  #area;
  #ghost;
  #button;
  #temperature;
  #seed;
  #model = null;
  #running = null;
  #written = "";
  #frame = 0; // the next scroll
  #onError;

  constructor(api, editor, { area, ghost, form, button, temperature, degrees }, onError) {
    this.#api = api;
    this.#editor = editor;
    this.#area = area;
    this.#ghost = ghost;
    this.#button = button;
    this.#temperature = temperature;
    this.#seed = form.elements.seed; // only an exported page has this control
    this.#onError = onError;
    const showDegrees = () => (degrees.value = Number(temperature.value).toFixed(2));
    temperature.addEventListener("input", showDegrees);
    showDegrees();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#running) this.stop();
      else this.#write();
    });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.stop());
  }

  use(model) {
    this.stop();
    this.#model = model;
    this.#button.disabled = false;
  }

  /** Stops writing. The text written so far stays. */
  stop() {
    this.#running?.abort();
  }

  async #write() {
    const before = document.activeElement;
    this.#running = new AbortController();
    this.#begin();
    const { signal } = this.#running;
    this.#written = "";
    while (await this.#tryOnce(signal));
    this.#running = null;
    this.#end();
    if (before !== document.body) before?.focus({ preventScroll: true });
  }

  /** Shows the text as it is written. If the server is busy, waits and returns true: try again. */
  async #tryOnce(signal) {
    try {
      for await (const text of this.#api.complete(this.#request, signal)) {
        this.#ghost.textContent = this.#written += text;
        this.#scrollToEnd();
      }
      this.#onError(null);
    } catch (error) {
      if (signal.aborted) return false;
      this.#onError(error);
      if (error.kind !== "busy") return false;
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
        setTimeout(resolve, 1000 * error.seconds);
      });
      return !signal.aborted;
    }
    return false;
  }

  /** Scrolls with the next frame: each scroll lays out the whole text. */
  #scrollToEnd() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const box = this.#area.parentElement;
      box.scrollTop = box.scrollHeight;
    });
  }

  get #request() {
    const temperature = Number(this.#temperature.value);
    const seed = this.#seed?.value ? { seed: Number(this.#seed.value) } : {};
    return { model: this.#model.id, prompt: this.#editor.text, max_tokens: LENGTH, temperature, ...seed };
  }

  #begin() {
    this.#area.readOnly = true;
    this.#ghost.classList.add("written");
    this.#ghost.textContent = "";
    this.#button.textContent = "Stop";
  }

  #end() {
    this.#area.readOnly = false;
    this.#ghost.classList.remove("written");
    this.#ghost.textContent = "";
    this.#button.textContent = "Continue";
    if (!this.#written) return;
    const { length } = this.#editor.text;
    this.#area.setSelectionRange(length, length);
    this.#editor.insert(this.#written);
    this.#scrollToEnd();
  }
}

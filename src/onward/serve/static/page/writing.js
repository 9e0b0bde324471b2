/** "Write on": the model continues the text, as it comes, until it is stopped. */

const LENGTH = 1000; // symbols at a time

/**
 * What is written stands in the layer until it ends, and then enters the text area at once: one undo takes it back.
 */
export class Writing {
  #api;
  #editor;
  #area;
  #ghost;
  #button;
  #temperature;
  #model = null;
  #running = null;
  #written = "";
  #troubled;

  constructor(api, editor, { area, ghost, form, button, temperature, degrees }, troubled) {
    this.#api = api;
    this.#editor = editor;
    this.#area = area;
    this.#ghost = ghost;
    this.#button = button;
    this.#temperature = temperature;
    this.#troubled = troubled;
    const told = () => (degrees.value = Number(temperature.value).toFixed(2));
    temperature.addEventListener("input", told);
    told();
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

  /** Ends it; what was written so far stays. */
  stop() {
    this.#running?.abort();
  }

  async #write() {
    const before = document.activeElement;
    this.#running = new AbortController();
    this.#begin();
    const { signal } = this.#running;
    this.#written = "";
    while (await this.#waits(signal));
    this.#running = null;
    this.#end();
    if (before !== document.body) before?.focus({ preventScroll: true });
  }

  /** Shows what is written as it comes; whether it is to be tried again, after the wait that the server asked for. */
  async #waits(signal) {
    try {
      for await (const piece of this.#api.write(this.#request, signal)) {
        this.#ghost.textContent = this.#written += piece;
        this.#scroll();
      }
      this.#troubled(null);
    } catch (trouble) {
      if (signal.aborted) return false;
      this.#troubled(trouble);
      if (trouble.kind !== "busy") return false;
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
        setTimeout(resolve, 1000 * trouble.seconds);
      });
      return !signal.aborted;
    }
    return false;
  }

  /** To where it writes. */
  #scroll() {
    const box = this.#area.parentElement;
    box.scrollTop = box.scrollHeight;
  }

  get #request() {
    const temperature = Number(this.#temperature.value);
    return { model: this.#model.id, prompt: this.#editor.text, max_tokens: LENGTH, temperature };
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
    this.#button.textContent = "Write on";
    if (!this.#written) return;
    const { length } = this.#editor.text;
    this.#area.setSelectionRange(length, length);
    this.#editor.insert(this.#written);
    this.#scroll();
  }
}

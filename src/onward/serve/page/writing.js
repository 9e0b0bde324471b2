/** "Write on": the model continues the text, as it comes, until it is stopped. */

const LENGTH = 500; // symbols at a time

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
    let written = "";
    try {
      for await (const piece of this.#api.write(this.#request, this.#running.signal)) {
        written += piece;
        this.#ghost.textContent = written;
        this.#ghost.parentElement.parentElement.scrollTop = Number.MAX_SAFE_INTEGER;
      }
      this.#troubled(null);
    } catch (trouble) {
      if (!this.#running.signal.aborted) this.#troubled(trouble);
    }
    this.#running = null;
    this.#end(written);
    if (before !== document.body) before?.focus({ preventScroll: true });
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

  #end(written) {
    this.#area.readOnly = false;
    this.#ghost.classList.remove("written");
    this.#ghost.textContent = "";
    this.#button.textContent = "Write on";
    if (!written) return;
    const { length } = this.#editor.text;
    this.#area.setSelectionRange(length, length);
    this.#editor.insert(written);
  }
}

/** What is wrong, in a calm corner: it goes when the same thing works again. */

import { element } from "./text.js";

const WORDS = {
  gone: () => "The server does not answer. Your text is safe here; trying again.",
  busy: ({ seconds }) => `The server is busy; trying again in ${seconds} s.`,
  token: () => "This server asks for its token.",
};

export class Notice {
  #place;
  #troubles = new Map(); // by what was tried
  #shown = "";
  #entered;
  #words;

  /** `entered(token)`: told of a token that was typed in; `words`: of a page that has its own for some kinds. */
  constructor(place, entered, words = {}) {
    this.#place = place;
    this.#entered = entered;
    this.#words = { ...WORDS, ...words };
  }

  /** A function to be told of the troubles of one thing that is tried, and with `null` that it works. */
  of(tried) {
    return (trouble) => {
      if (trouble) this.#troubles.set(tried, trouble);
      else if (!this.#troubles.delete(tried)) return;
      this.#show();
    };
  }

  #show() {
    const all = [...this.#troubles.values()];
    const trouble = all.find(({ kind }) => kind === "token") ?? all[0];
    const words = trouble ? (this.#words[trouble.kind]?.(trouble) ?? sentence(trouble)) : "";
    if (words === this.#shown) return;
    this.#shown = words;
    const form = trouble?.kind === "token" ? [this.#form()] : [];
    this.#place.replaceChildren(...(words ? [element("p", "", words), ...form] : []));
    this.#place.querySelector("input")?.focus();
  }

  #form() {
    const form = element("form");
    const label = element("label", "", "Token ");
    const field = element("input");
    Object.assign(field, { type: "password", autocomplete: "off", required: true, name: "token" });
    label.append(field);
    form.append(label, element("button", "", "Enter"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#troubles.clear();
      this.#show();
      this.#entered(field.value.trim());
    });
    return form;
  }
}

/** A trouble and its remedy in words. */
export const sentence = ({ message, hint }) => {
  const first = message.charAt(0).toUpperCase() + message.slice(1);
  return hint ? `${first}. ${hint.charAt(0).toUpperCase()}${hint.slice(1)}.` : `${first}.`;
};

/** Errors, in a corner of the page. Each disappears once the same thing works again. */

import { element } from "./text.js";

const MESSAGES = {
  offline: () => "The server does not answer. Trying again; your text is safe on this page.",
  busy: ({ seconds }) => `The server is busy. Trying again in ${seconds} s.`,
  token: () => "This server needs a token.",
};

export class Notice {
  #place;
  #errors = new Map(); // by the task that failed
  #shown = "";
  #onToken;
  #messages;

  /** `onToken(token)` is called with a token that the user enters; `messages` replaces some of the messages. */
  constructor(place, onToken, messages = {}) {
    this.#place = place;
    this.#onToken = onToken;
    this.#messages = { ...MESSAGES, ...messages };
  }

  /** Returns a function that takes the error of a task, or null once the task works. */
  reporter(task) {
    return (error) => {
      if (error) this.#errors.set(task, error);
      else if (!this.#errors.delete(task)) return;
      this.#show();
    };
  }

  #show() {
    const all = [...this.#errors.values()];
    const error = all.find(({ kind }) => kind === "token") ?? all[0];
    const message = error ? (this.#messages[error.kind]?.(error) ?? sentence(error)) : "";
    if (message === this.#shown) return;
    this.#shown = message;
    const form = error?.kind === "token" ? [this.#form()] : [];
    this.#place.replaceChildren(...(message ? [element("p", "", message), ...form] : []));
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
      this.#errors.clear();
      this.#show();
      this.#onToken(field.value.trim());
    });
    return form;
  }
}

/** Returns the message and the hint of an error as sentences. */
export const sentence = ({ message, hint }) => {
  const first = message.charAt(0).toUpperCase() + message.slice(1);
  return hint ? `${first}. ${hint.charAt(0).toUpperCase()}${hint.slice(1)}.` : `${first}.`;
};

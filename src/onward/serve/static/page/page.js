/**
 * The page that completes the typed text: connects its parts. Its predictions come from `Api`, which asks a server; in a
 * page that `onward export` writes, `Api` is a model in the page (export/static/api.js).
 */

import { Api } from "./api.js";
import { CompletionView } from "./completions.js";
import { showCurve } from "./curve.js";
import { Editor } from "./editor.js";
import { showFacts } from "./facts.js";
import { showNextSymbols } from "./next_symbols.js";
import { Notice } from "./notice.js";
import { Session } from "./session.js";
import { SurpriseView } from "./surprise.js";
import { Writer } from "./writer.js";

const $ = (id) => document.getElementById(id);
const area = $("text");
const api = new Api();
const notice = new Notice($("notice"), (token) => {
  api.token = token;
  begin();
});

const editor = new Editor(area, $("marks"), ({ text, caret, typed }) => {
  completions.narrow(typed);
  if (text === null) return; // an input method is active
  session.update(text, caret < 0 ? text.length : caret);
  if (text !== scored) surprise.update((scored = text));
});
const completions = new CompletionView(editor, area, { ghost: $("ghost"), list: $("choices"), spoken: $("spoken") });
const session = new Session(api, { completions: 3, until: "word", next: 8 }, {
  onAnswer: (answer) => {
    notice.reporter("writing")(null); // writing is not tried again
    completions.show(answer.completions);
    showNextSymbols($("next"), answer.next);
  },
  onError: (error) => {
    if (error?.param === "adapt") stopAdapting(error);
    else notice.reporter("typing")(error);
  },
});
const surprise = new SurpriseView(
  api, editor, { area, marks: $("marks"), detail: $("detail"), mean: $("mean") }, notice.reporter("score"),
);
const writer = new Writer(api, editor, {
  area, ghost: $("ghost"), form: $("write"), button: $("go"), temperature: $("temperature"), degrees: $("degrees"),
}, notice.reporter("writing"));
const adapt = $("adapt"); // an exported page has no such control
const adapts = () => adapt?.checked ?? false;
let scored = "";
let curve = null;

/** Lists the models, and begins with the chosen one, or the first. */
async function begin() {
  const report = notice.reporter("models");
  try {
    const models = await api.models();
    const chosen = $("model").value;
    $("model").replaceChildren(...models.map(({ id }) => new Option(id, id, false, id === chosen)));
    $("model").disabled = models.length < 2;
    await use($("model").value);
    report(null);
    if ($("other")) $("other").hidden = !(await api.watches());
  } catch (error) {
    report(error);
    if (error.isTemporary) setTimeout(begin, 1000 * (error.seconds || 2));
  }
}

/** Uses a model from now on. */
async function use(id) {
  const model = await api.model(id);
  if ($("model").value !== id) return; // another model was chosen during the request
  showFacts($("facts"), model);
  for (const part of [surprise, writer]) part.use(model);
  session.use(id, adapts());
  session.retry();
  surprise.update(editor.text);
  curve = await api.curve(id).catch(() => null); // many models have no training log
  $("curve").hidden = !curve;
  if (curve) showCurve($("curve"), curve);
}

/** Continues without learning, since the server has no room for it. */
function stopAdapting(error) {
  adapt.checked = false;
  notice.reporter("adapt")(error);
  session.use($("model").value, false);
}

adapt?.addEventListener("change", () => {
  notice.reporter("adapt")(null);
  session.use($("model").value, adapts());
});
$("model").addEventListener("change", () => use($("model").value).catch(notice.reporter("models")));
$("coloured").addEventListener("change", () => $("editor").classList.toggle("plain", !$("coloured").checked));
new ResizeObserver(() => curve && showCurve($("curve"), curve)).observe($("facts"));
window.addEventListener("online", () => session.retry());
window.addEventListener("pagehide", () => session.end());
editor.refresh();
begin();

/** The page: joins its parts. */

import { Api } from "./api.js";
import { showCurve } from "./curve.js";
import { Editor } from "./editor.js";
import { showFacts } from "./facts.js";
import { Heat } from "./heat.js";
import { showNext } from "./next.js";
import { Notice } from "./notice.js";
import { Offers } from "./offers.js";
import { Typing } from "./typing.js";
import { Writing } from "./writing.js";

const $ = (id) => document.getElementById(id);
const area = $("text");
const api = new Api();
const notice = new Notice($("notice"), (token) => {
  api.token = token;
  begin();
});

const editor = new Editor(area, $("marks"), ({ text, caret, typed }) => {
  offers.typed(typed);
  if (text === null) return; // an input method is at work
  typing.follow(text, caret < 0 ? text.length : caret);
  if (text !== scored) heat.follow((scored = text));
});
const offers = new Offers(editor, area, { ghost: $("ghost"), list: $("choices"), spoken: $("spoken") });
const typing = new Typing(api, { completions: 3, until: "word", next: 8 }, {
  answered: ({ completions, next }) => {
    notice.of("writing")(null); // it is not tried again
    offers.show(completions);
    showNext($("next"), next);
  },
  troubled: (trouble) => {
    if (trouble?.param === "adapt") keepAsIs(trouble);
    else notice.of("typing")(trouble);
  },
});
const heat = new Heat(api, editor, { area, marks: $("marks"), detail: $("detail"), mean: $("mean") }, notice.of("score"));
const writing = new Writing(api, editor, {
  area, ghost: $("ghost"), form: $("write"), button: $("go"), temperature: $("temperature"), degrees: $("degrees"),
}, notice.of("writing"));
let scored = "";
let curve = null;

/** Learns which models there are, and begins with the one chosen, or the first. */
async function begin() {
  const told = notice.of("models");
  try {
    const models = await api.models();
    const chosen = $("model").value;
    $("model").replaceChildren(...models.map(({ id }) => new Option(id, id, false, id === chosen)));
    $("model").disabled = models.length < 2;
    await use($("model").value);
    told(null);
    const watched = await api.json("GET", "v1/watch").catch(() => null); // only a link hangs on it
    $("other").hidden = !watched?.data.length;
  } catch (trouble) {
    told(trouble);
    if (["gone", "busy"].includes(trouble.kind)) setTimeout(begin, 1000 * (trouble.seconds || 2));
  }
}

/** Takes a model for all that follows. */
async function use(id) {
  const model = await api.model(id);
  if ($("model").value !== id) return; // another was chosen meanwhile
  showFacts($("facts"), model);
  for (const part of [heat, writing]) part.use(model);
  typing.use(id, $("adapt").checked);
  typing.retry();
  heat.follow(editor.text);
  curve = await api.curve(id).catch(() => null); // many models come without their log
  $("curve").hidden = !curve;
  if (curve) showCurve($("curve"), curve);
}

/** Completions are the model's as it was trained, since the server does not let it learn. */
function keepAsIs(trouble) {
  $("adapt").checked = false;
  notice.of("adapt")(trouble);
  typing.use($("model").value, false);
}

$("adapt").addEventListener("change", () => {
  notice.of("adapt")(null);
  typing.use($("model").value, $("adapt").checked);
});
$("model").addEventListener("change", () => use($("model").value).catch(notice.of("models")));
$("coloured").addEventListener("change", () => $("editor").classList.toggle("plain", !$("coloured").checked));
new ResizeObserver(() => curve && showCurve($("curve"), curve)).observe($("facts"));
window.addEventListener("online", () => typing.retry());
window.addEventListener("pagehide", () => typing.end());
editor.refresh();
begin();

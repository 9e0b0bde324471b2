/** The facts about a model. */

import { count, element } from "./text.js";

const BITS = 1 / Math.LN2; // bits in a nat

/** Fills a description list with the facts of `GET /v1/models/{id}`. Facts that are missing are left out. */
export const showFacts = (list, model) => {
  list.replaceChildren();
  for (const [term, fact] of factsOf(model)) {
    if (!fact) continue;
    const group = element("div");
    group.append(element("dt", "", term), element("dd", "", fact));
    list.append(group);
  }
};

const factsOf = ({ parameters, architecture, vocabulary, recipe, facts }) => {
  const { corpus, validation, symbols, steps } = facts;
  const nats = validation?.nats_per_symbol;
  const layers = architecture.layers === 1 ? "layer" : "layers";
  return [
    ["Layers", `${architecture.layers} ${architecture.layer} ${layers} of width ${architecture.width}`],
    ["Parameters", count(parameters)],
    ["Vocabulary", `${count(vocabulary.size)} ${vocabulary.kind}${vocabulary.lower ? ", lower-cased" : ""}`],
    ["Corpus", corpus?.name && `${corpus.name.split(/[/\\]/).pop()}, ${count(corpus.symbols)} symbols`],
    ["Trained", symbols && `on ${count(symbols)} symbols in ${count(steps)} steps`],
    ["Recipe", recipe.name],
    ["Held-out loss", nats && `${(nats * BITS).toFixed(3)} bits (${nats.toFixed(3)} nats) per symbol`],
  ];
};

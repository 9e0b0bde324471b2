/** Probabilities of the next symbol. */

/** Returns the probabilities of logits. */
export const softmax = (logits) => {
  let most = -Infinity;
  for (const logit of logits) most = Math.max(most, logit);
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  let sum = 0;
  for (const weight of weights) sum += weight;
  return weights.map((weight) => weight / sum);
};

/** Returns the ids of the `count` greatest values, the greatest first; of equal values, the first. */
export const likeliest = (values, count) => {
  const best = [];
  for (let id = 0; id < values.length; id += 1) {
    if (best.length === count && values[id] <= values[best[count - 1]]) continue;
    let place = best.length;
    while (place && values[best[place - 1]] < values[id]) place -= 1;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
};

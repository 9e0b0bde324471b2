/** The most likely next symbols, each with a bar. */

import { named } from "./reading.js";
import { element, percent } from "./text.js";

/** Shows symbols in a list. Rows are reused, so that the bars move smoothly. */
export const showNextSymbols = (list, symbols) => {
  while (list.children.length < symbols.length) list.append(row());
  while (list.children.length > symbols.length) list.lastElementChild.remove();
  symbols.forEach(({ symbol, probability }, index) => {
    const [name, bar, chance] = list.children[index].children;
    name.textContent = named(symbol);
    name.classList.toggle("word", named(symbol) !== symbol || symbol.startsWith("<") && symbol.length > 1);
    bar.firstElementChild.style.transform = `scaleX(${probability})`;
    chance.textContent = `${percent(probability, 2)} %`;
  });
};

const row = () => {
  const item = element("li");
  const bar = element("span", "bar");
  bar.append(element("i"));
  item.append(element("code"), bar, element("span", "chance"));
  return item;
};

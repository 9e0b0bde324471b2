const text = document.getElementById("text");
const names = JSON.parse(document.getElementById("names").textContent);

reading(text, document.getElementById("detail"), (mark) => {
  const [id, percent, bits, ...likeliest] = mark.dataset.e.split(",");
  const other = (entry) => {
    const [symbol, chance] = entry.split(" ");
    return { name: names[symbol], percent: chance, came: symbol === id };
  };
  return { name: names[id], percent, bits, likeliest: likeliest.map(other) };
});

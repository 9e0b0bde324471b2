/** Texts as the server counts them (code points), and as a reader sees them (graphemes). */

const PLAIN = /^[\n\t\x20-\x7e\xa0-\u02ff]*$/; // of these each is a grapheme of its own
const WORD = /[\p{L}\p{N}_]{1,256}|[^\p{L}\p{N}_]/gu;
const segmenter = "Segmenter" in Intl && new Intl.Segmenter();

/** The code points of a text. What is half of a pair has no encoding, and becomes U+FFFD. */
export const points = (text) => Array.from(text, (point) => (/^[\ud800-\udfff]$/.test(point) ? "\ufffd" : point));

/** What a reader takes for one character each: spans of code points may not be cut within. */
export const graphemes = (text) =>
  PLAIN.test(text) || !segmenter ? [...text] : Array.from(segmenter.segment(text), ({ segment }) => segment);

/** How one list became another: at `at`, `removed` items went and `added` came. */
export const difference = (before, after) => {
  const shorter = Math.min(before.length, after.length);
  let at = 0;
  while (at < shorter && before[at] === after[at]) at += 1;
  let same = 0;
  while (same < shorter - at && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
  return { at, removed: before.length - at - same, added: after.slice(at, after.length - same) };
};

const bytes = (point) => {
  const code = point.codePointAt(0);
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
};

/** For each symbol of a text the code points that it stands for, first and behind the last; one may share. */
export const symbolSpans = (text, kind) => {
  const spans = [];
  if (kind === "words") {
    let at = 0;
    for (const [word] of text.matchAll(WORD)) spans.push([at, (at += points(word).length)]);
    return spans;
  }
  points(text).forEach((point, at) => {
    for (let left = kind === "bytes" ? bytes(point) : 1; left; left -= 1) spans.push([at, at + 1]);
  });
  return spans;
};

/** A probability for people, in so many digits: 83.1, 0.42, or that it is rarer than one in ten thousand. */
export const percent = (probability, digits = 3) =>
  probability >= 1e-4 || probability === 0
    ? String(Number((100 * probability).toPrecision(digits)))
    : "< 0.01";

/** A count for people: 2.4 M, 800 k, 89. */
export const count = (value) => {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
};

/** An element with its class and its text. */
export const element = (name, kind = "", content = "") => {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = content;
  return made;
};

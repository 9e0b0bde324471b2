/** Text as code points, which the server counts, and as graphemes, which a reader sees. */

const PLAIN = /^[\n\t\x20-\x7e\xa0-\u02ff]*$/; // characters that are graphemes by themselves
const WORD_PART = /^[\p{L}\p{N}\p{M}_\u200c\u200d]+$/u;
const WORD = /[\p{L}\p{N}\p{M}_\u200c\u200d]{1,256}|[^\p{L}\p{N}\p{M}_\u200c\u200d]/gu;
const WORD_WITHOUT_MARKS = /[\p{L}\p{N}_]{1,256}|[^\p{L}\p{N}_]/gu;
const segmenter = "Segmenter" in Intl && new Intl.Segmenter();

/** Returns the code points of a text. Unpaired surrogates become U+FFFD, since UTF-8 cannot encode them. */
export const points = (text) => Array.from(text, (point) => (/^[\ud800-\udfff]$/.test(point) ? "\ufffd" : point));

/** Returns the graphemes of a text: what a reader sees as single characters. */
export const graphemes = (text) =>
  PLAIN.test(text) || !segmenter ? [...text] : Array.from(segmenter.segment(text), ({ segment }) => segment);

/** Returns the words of a text and the characters between them; `marks`: whether combining marks are part of words. */
export const wordsOf = (text, marks = true) => text.match(marks ? WORD : WORD_WITHOUT_MARKS) ?? [];

/** Whether a text is a word or a part of one. */
export const isWordPart = (text) => WORD_PART.test(text);

/** Returns how one list became another: at `at`, `removed` items were replaced by `added`. */
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

/** Returns the span of code points of each symbol of a text. Bytes of one character share a span. */
export const symbolSpans = (text, { kind, marks = true }) => {
  const spans = [];
  if (kind === "words") {
    let at = 0;
    for (const word of wordsOf(text, marks)) spans.push([at, (at += points(word).length)]);
    return spans;
  }
  points(text).forEach((point, at) => {
    for (let left = kind === "bytes" ? bytes(point) : 1; left; left -= 1) spans.push([at, at + 1]);
  });
  return spans;
};

/** Returns a probability in percent, rounded to some digits: 83.1, 0.42, < 0.01. */
export const percent = (probability, digits = 3) =>
  probability >= 1e-4 || probability === 0
    ? String(Number((100 * probability).toPrecision(digits)))
    : "< 0.01";

/** Returns a rounded number: 2.4 M, 800 k, 89. */
export const count = (value) => {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
};

/** Creates an element with a class and a text. */
export const element = (name, kind = "", content = "") => {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = content;
  return made;
};

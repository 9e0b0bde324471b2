/** Scripts that put no spaces between words (see data/words.py). */

const LAST_IS_SPACELESS = new RegExp(
  "[\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u1950-\\u19ff\\u1a20-\\u1aaf\\ua9e0-\\ua9ff" // Thai to
  + "\\uaa60-\\uaadf" // Myanmar
  + "\\u3005-\\u3007\\u3041-\\u30ff\\u31f0-\\u31ff\\uff66-\\uff9f" // Japanese
  + "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}]$", // Chinese
  "u",
);

/** Whether the last character of a text belongs to such a script. */
export const endsWithoutSpaces = (text) => LAST_IS_SPACELESS.test(text);

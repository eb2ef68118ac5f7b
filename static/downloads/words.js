/** The words, rules and tasks that the server put into the page, and numbers as this language writes them. */

export const data = JSON.parse(document.getElementById("script-data").textContent);

const oneDigit = new Intl.NumberFormat(data.language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const bytes = new Intl.NumberFormat(data.language, { style: "unit", unit: "byte", unitDisplay: "long" });
const UNITS = ["KB", "MB", "GB", "TB", "PB"];

/** A phrase with its blanks filled in: `phrase("left", { time: "13 s" })`. */
export function phrase(name, blanks = {}) {
  return data.phrases[name].replace(/\{(\w+)\}/g, (_blank, key) => String(blanks[key]));
}

/** A sentence of the service in the reader's language; one that is not known stays as it is. */
export function say(sentence) {
  return Object.hasOwn(data.sentences, sentence) ? data.sentences[sentence] : sentence;
}

/** 11534336 is `11.0 MB`, as everywhere in this service. */
export function sizeText(size) {
  if (size < 1024) return bytes.format(size);
  const power = Math.min(Math.floor(Math.log2(size) / 10), UNITS.length);
  return `${oneDigit.format(size / 1024 ** power)}\u00a0${UNITS[power - 1]}`;
}

/** 45.7 is `45.7%`. */
export function percentText(percentage) {
  return `${oneDigit.format(percentage)}%`;
}

/** 200 seconds are `3 min 20 s`. */
export function durationText(seconds) {
  const rounded = Math.round(seconds);
  const [h, m, s] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60, rounded % 60];
  return phrase(h ? "hours" : m ? "minutes" : "seconds", { h, m, s });
}

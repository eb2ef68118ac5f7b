/** The words, rules and tasks that the server put into the page, and numbers and times as this language writes them. */

export const data = JSON.parse(document.getElementById("script-data").textContent);

const oneDigit = new Intl.NumberFormat(data.language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(data.language);
const bytes = new Intl.NumberFormat(data.language, { style: "unit", unit: "byte", unitDisplay: "long" });
const moment = new Intl.DateTimeFormat(data.language, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["KB", "MB", "GB", "TB", "PB"];

/** A phrase with its blanks filled in: `phrase("left", { time: "13 s" })`. */
export function phrase(name, blanks = {}) {
  return data.phrases[name].replace(/\{(\w+)\}/g, (_blank, key) => String(blanks[key]));
}

/** A sentence of the service in the reader's language; one that is not known stays as it is. */
export function say(sentence) {
  return Object.hasOwn(data.sentences, sentence) ? data.sentences[sentence] : sentence;
}

/** 10000 is `10,000`. */
export const numberText = (number) => whole.format(number);

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
  const { h, m, s } = parts(seconds);
  return phrase(h ? "hours" : m ? "minutes" : "seconds", { h, m, s });
}

/** 200 seconds are `3:20`. */
export function clockText(seconds) {
  const { h, m, s } = parts(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function parts(seconds) {
  const rounded = Math.round(seconds);
  return { h: Math.floor(rounded / 3600), m: Math.floor(rounded / 60) % 60, s: rounded % 60 };
}

/** Say the times in this part of the page, which the server wrote in UTC, by the reader's own clock. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = moment.format(new Date(time.dateTime));
}

/** Tell those who do not see the screen. */
export function announce(sentence) {
  document.getElementById("announcement").textContent = sentence;
}

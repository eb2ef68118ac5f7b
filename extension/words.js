/** The words, in the language of the browser. */

/** A message of `_locales`, with its blanks filled in. */
export const say = (key, ...parts) => chrome.i18n.getMessage(key, parts);

/** Fill in the words of a page. */
export function fillPage() {
  document.documentElement.lang = say("language");
  for (const element of document.querySelectorAll("[data-message]")) element.textContent = say(element.dataset.message);
}

let known;

/** What the service says in English, as this language says it; `make messages` writes the file. */
export function sentences() {
  known ??= say("language") === "en" ? Promise.resolve({}) : fetch("/sentences.zh-CN.json").then((file) => file.json());
  return known;
}

/** A sentence of the service in the reader's language; one that is not known stays as it is. */
export const translate = (sentence, all) => (Object.hasOwn(all, sentence) ? all[sentence] : sentence);

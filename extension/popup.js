/** The window of the toolbar button: send this page, and see how far it is. */

import { presets, qualities } from "./api.js";
import { isOn, turnOff, turnOn } from "./cookies.js";
import { follow } from "./feed.js";
import { showSent, take } from "./list.js";
import { qualityText } from "./qualities.js";
import { send } from "./send.js";
import { keepProblem, onChange, problem } from "./sent.js";
import { settings } from "./settings.js";
import { fillPage, say } from "./words.js";

const form = document.getElementById("send");
const { quality, preset, cookies } = form.elements;
const part = (id) => document.getElementById(id);
const tell = (sentence) => (part("news").textContent = sentence);

const problems = { own: "", feed: "" };
function complain(whose, sentence) {
  problems[whose] = sentence;
  const shown = problems.own || problems.feed; // both often say the same
  if (part("problem").textContent !== shown) part("problem").textContent = shown;
}

const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
const isPage = /^https?:/.test(tab?.url);
const host = isPage ? new URL(tab.url).hostname : "";

async function showPage() {
  part("page-title").textContent = isPage ? tab.title : say("not_a_page");
  form.hidden = !isPage;
  part("with-cookies").textContent = say("with_cookies", host);
  cookies.checked = await isOn(host);
}

async function showChoices() {
  if (quality.length > 1) return;
  const chosen = (await settings()).quality;
  const [names, presetNames] = await Promise.all([qualities(), presets()]);
  for (const name of names) quality.add(new Option(qualityText(name), name, false, name === chosen));
  for (const name of presetNames) preset.add(new Option(name));
  part("presets").hidden = !presetNames.length;
}

/** A preset says which quality; one that is chosen here beside it counts more. */
preset.addEventListener("change", () => {
  if (preset.value) quality.value = "";
});

cookies.addEventListener("change", async () => {
  complain("own", "");
  if (!cookies.checked) return turnOff(host);
  cookies.checked = await turnOn(host);
  if (!cookies.checked) complain("own", say("cookies_refused"));
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  tell("");
  complain("own", "");
  try {
    const wish = { quality: quality.value, preset: preset.value, storeId: tab.cookieStoreId };
    const status = await send(tab.url, wish);
    tell(say(status === "exists" ? "exists" : "sent"));
  } catch (refusal) {
    complain("own", refusal.message);
  }
  form.ariaBusy = "false";
});

part("options").addEventListener("click", () => chrome.runtime.openOptionsPage());

fillPage();
part("server").href = (await settings()).server;
await showPage();
complain("own", await problem());
await keepProblem("");
onChange(showSent);
follow(take, (sentence) => {
  complain("feed", sentence);
  if (!sentence) showChoices().catch((refusal) => complain("own", refusal.message));
});

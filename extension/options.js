/** The options: which server, which key, which quality, and whose cookies. */

import { ask, giveBack, isAllowed, serverAccess } from "./access.js";
import { KEY_COMMAND, qualities, test } from "./api.js";
import { isOn, turnOff } from "./cookies.js";
import { qualityText } from "./qualities.js";
import { save, settings } from "./settings.js";
import { fillPage, say } from "./words.js";

const LOOPBACK = /^(localhost|.+\.localhost|127\..+|\[::1\])$/;

const form = document.getElementById("connection");
const { server, key, quality } = form.elements;
const part = (id) => document.getElementById(id);
let isAnotherAsked = false; // since the page was opened: what the stored server says is old news then

/** The address that was typed, with or without `http://`, with the path of a proxy if there is one; null if it is none. */
function address() {
  const typed = server.value.trim();
  const url = URL.parse(/^\w+:\/\//.test(typed) ? typed : `http://${typed}`);
  const isOne = url && /^https?:$/.test(url.protocol) && !url.username && !url.password;
  return isOne ? (url.origin + url.pathname).replace(/\/+$/, "") : null;
}

function warn() {
  const url = URL.parse(address() ?? "");
  const isOpen = url?.protocol === "http:" && !LOOPBACK.test(url.hostname);
  part("insecure").textContent = isOpen ? say("server_insecure") : "";
}

function tell({ news = "", problem = "" }) {
  part("news").textContent = news;
  part("problem").textContent = problem;
}

async function showQualities() {
  const chosen = quality.value;
  const names = await qualities();
  quality.length = 1;
  for (const name of names) quality.add(new Option(qualityText(name), name, false, name === chosen));
}

async function showSites() {
  const { sites } = await settings();
  const allowed = await Promise.all(sites.map(isOn));
  const shown = sites.filter((_site, index) => allowed[index]);
  part("sites").replaceChildren(...shown.map(siteRow));
  part("nowhere").hidden = shown.length > 0;
}

function siteRow(host) {
  const row = part("site").content.firstElementChild.cloneNode(true);
  const button = row.querySelector("button");
  row.querySelector("span").textContent = host;
  button.textContent = say("turn_off");
  button.setAttribute("aria-label", say("turn_off_for", host));
  button.addEventListener("click", () => turnOff(host));
  return row;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  isAnotherAsked = true;
  const typed = address();
  server.ariaInvalid = String(!typed);
  if (!typed) return tell({ problem: say("server_invalid") });
  server.value = typed;
  const answer = ask(serverAccess(typed));
  tell({ news: say("testing") });
  await save({ server: typed, key: key.value.trim(), quality: quality.value });
  try {
    await answer;
    await giveBack();
    tell({ news: say("connected", await test()) });
    await showQualities();
  } catch (problem) {
    tell({ problem: problem.message });
  }
});
server.addEventListener("input", warn);
chrome.storage.local.onChanged.addListener(showSites);
chrome.permissions.onAdded.addListener(showSites);
chrome.permissions.onRemoved.addListener(showSites);

fillPage();
part("key-help").textContent = say("key_help", KEY_COMMAND);
const stored = await settings();
server.value = stored.server;
key.value = stored.key;
if (stored.quality) quality.add(new Option(qualityText(stored.quality), stored.quality, false, true));
warn();
await showSites();
if (await isAllowed(serverAccess(stored.server))) {
  showQualities().catch((problem) => isAnotherAsked || tell({ problem: problem.message }));
}

/** The context menu: the page, a link, a video or sound. */

import { keepProblem } from "./sent.js";
import { send } from "./send.js";
import { settings } from "./settings.js";
import { say } from "./words.js";

const WEB = ["http://*/*", "https://*/*"];
const ENTRIES = [
  { id: "page", title: "menu_page", contexts: ["page"], documentUrlPatterns: WEB },
  { id: "link", title: "menu_link", contexts: ["link"], targetUrlPatterns: WEB },
  { id: "media", title: "menu_media", contexts: ["video", "audio"], documentUrlPatterns: WEB },
];

export async function makeMenus() {
  await chrome.contextMenus.removeAll();
  for (const entry of ENTRIES) chrome.contextMenus.create({ ...entry, title: say(entry.title) });
}

/** Send what was chosen. There is no window to say in what went wrong: the badge points to it, the popup says it. */
export async function choose(info, tab) {
  const { quality } = await settings();
  try {
    await send(addressOf(info), { quality, storeId: tab?.cookieStoreId });
    await keepProblem("");
  } catch (problem) {
    await keepProblem(problem.message);
  }
}

/** Many players feed their element from a script (`blob:`); then it is the document that plays it. */
function addressOf({ menuItemId, linkUrl, srcUrl, frameUrl, pageUrl }) {
  if (menuItemId === "link") return linkUrl;
  if (menuItemId === "page") return pageUrl;
  return [srcUrl, frameUrl, pageUrl].find((url) => /^https?:/.test(url));
}

/** What works without a window: the context menu, and the number on the toolbar button. */

import { watch } from "./badge.js";
import { choose, makeMenus } from "./menus.js";
import { onChange } from "./sent.js";

chrome.runtime.onInstalled.addListener(({ reason }) => {
  makeMenus();
  if (reason === "install") chrome.runtime.openOptionsPage();
});
chrome.runtime.onStartup.addListener(makeMenus);
chrome.contextMenus.onClicked.addListener(choose);
chrome.alarms.onAlarm.addListener(watch);
onChange(watch);
watch();

/** Cookies, of those sites only for which the user said so. */

import { ask, giveBack, isAllowed, siteAccess } from "./access.js";
import { save, settings } from "./settings.js";

const FIELDS = ["name", "value", "domain", "path", "secure", "hostOnly", "expirationDate"];

/** Whether the cookies of this host are sent. The browser has to agree, whatever is remembered here. */
export async function isOn(host) {
  const { sites } = await settings();
  return sites.includes(host) && (await isAllowed(siteAccess(host)));
}

/**
 * Send them from now on, if the user allows it; to be called in the moment of a click.
 *
 * The browser's question may close the window that asks, so the site is remembered before there is an answer.
 *
 * @returns {Promise<boolean>} whether the user did
 */
export async function turnOn(host) {
  const answer = ask(siteAccess(host)).catch(() => false); // a browser that will not even ask says no
  const { sites } = await settings();
  await save({ sites: [...new Set([...sites, host])].sort() });
  const isGranted = await answer;
  if (!isGranted) await turnOff(host);
  return isGranted;
}

export async function turnOff(host) {
  const { sites } = await settings();
  await save({ sites: sites.filter((site) => site !== host) });
  await giveBack();
}

/**
 * What the browser would send to this address, as the service takes it; empty where the user did not say so.
 *
 * @param {string|undefined} storeId the cookies of a container tab, in Firefox
 */
export async function cookiesFor(url, storeId) {
  if (!(await isOn(new URL(url).hostname))) return "";
  const cookies = await chrome.cookies.getAll({ url, storeId });
  return JSON.stringify(cookies, FIELDS);
}

/** What the browser has to allow: requests to the server, and the cookies of the sites that the user names. */

import { settings } from "./settings.js";

const NO_DOMAIN = /^[\d.]+$|:/; // an address in figures has no domains above it

export function serverAccess(server) {
  const { protocol, hostname } = new URL(server);
  return { origins: [`${protocol}//${hostname}/*`] };
}

/** A page gets the cookies of its host and of the domains above it; both schemes, since a cookie may be for either. */
export function siteAccess(host) {
  const labels = NO_DOMAIN.test(host) ? [host] : host.split(".");
  const hosts = labels.map((_label, index) => labels.slice(index).join(".")).slice(0, Math.max(labels.length - 1, 1));
  return { permissions: ["cookies"], origins: hosts.map((each) => `*://${each}/*`) };
}

/** Ask the user. Only in the very moment of a click, before anything is awaited: Firefox forgets the click then. */
export const ask = (access) => chrome.permissions.request(access);

export const isAllowed = (access) => chrome.permissions.contains(access);

/** Give back what neither the server nor a site needs any more. */
export async function giveBack() {
  const { server, sites } = await settings();
  const needed = [serverAccess(server), ...sites.map(siteAccess)].flatMap((access) => access.origins);
  const { origins } = await chrome.permissions.getAll();
  await chrome.permissions.remove({
    permissions: sites.length ? [] : ["cookies"],
    origins: origins.filter((origin) => !needed.includes(origin)),
  });
}

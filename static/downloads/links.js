/** Finds links in what people paste and drop. */

const LINK = /https?:\/\/[^\s<>"'`]+/gi;
const BARE = /^[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+([:/?#]\S*)?$/u; // example.com/video
export const MOST = 1000; // what the service takes at once

/** The links in a text: all that begin with http, or else the lines that look like an address. */
export function linksIn(text) {
  const found = [...text.matchAll(LINK)].map(([link]) => link.replace(/[)\].,;]+$/, trimmed));
  const bare = text.split(/\s+/).filter((line) => BARE.test(line));
  return [...new Set(found.length ? found : bare)];
}

/** What ends a sentence does not end a link, unless it closes what the link itself has opened. */
function trimmed(end, place, link) {
  return end[0] === ")" && link.slice(0, place).includes("(") ? ")" : "";
}

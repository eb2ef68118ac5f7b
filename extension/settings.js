/** What the user has set. It stays in this browser: `storage.local` is not synchronised. */

const DEFAULTS = { server: "http://127.0.0.1:8000", key: "", quality: "", sites: [] };

/**
 * `server` is an origin, with the path of a proxy if there is one; `key` and `quality` may be empty, `sites` are the
 * hosts whose cookies may be sent.
 */
export const settings = () => chrome.storage.local.get(DEFAULTS);

export const save = (changes) => chrome.storage.local.set(changes);

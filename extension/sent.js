/** What was sent since the browser started: `storage.session` is in memory, so that no list of links stays behind. */

const MOST = 10;

/** The tasks' ids, newest first. */
export const sentIds = async () => (await chrome.storage.session.get({ sent: [] })).sent;

export async function remember(id) {
  const others = (await sentIds()).filter((each) => each !== id);
  await chrome.storage.session.set({ sent: [id, ...others].slice(0, MOST) });
}

/** What went wrong with the last choice in the context menu, as a sentence; empty if nothing did. */
export const problem = async () => (await chrome.storage.session.get({ problem: "" })).problem;

export const keepProblem = (sentence) => chrome.storage.session.set({ problem: sentence });

/** Call this whenever one of them changes. */
export const onChange = (call) => chrome.storage.session.onChanged.addListener(call);

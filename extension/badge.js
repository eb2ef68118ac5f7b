/** The number on the toolbar button: how many of the downloads that were sent from here are under way. */

import { follow } from "./feed.js";
import { problem, sentIds } from "./sent.js";

const UNDER_WAY = ["queued", "starting", "downloading", "processing"];
const ACCENT = "#4353d8";
const BAD = "#b42323";

/** What each kind of frame says: task ids and their states. */
const NEWS = {
  initial: ({ tasks }) => tasks.map(({ id, status }) => [id, status]),
  task: ({ task }) => [[task.id, task.status]],
  progress: ({ task_id, progress }) => [[task_id, progress.status]],
  deleted: ({ task_id }) => [[task_id, "gone"]],
};

const states = new Map(); // empty again whenever the browser has put this script to sleep and woken it
let stop; // ends the following of the feed, while there is something to follow

/** Bring the number up to date, and follow the feed for as long as it may change. */
export async function watch() {
  const [ids, sentence] = await Promise.all([sentIds(), problem()]);
  const isOpen = ids.some((id) => !states.has(id) || UNDER_WAY.includes(states.get(id)));
  if (isOpen && !stop) {
    stop = follow(take, () => {});
    chrome.alarms.create("watch", { periodInMinutes: 1 }); // Firefox puts this script to sleep even so
  } else if (!isOpen && stop) {
    stop();
    stop = undefined;
    chrome.alarms.clear("watch");
  }
  const count = ids.filter((id) => UNDER_WAY.includes(states.get(id))).length;
  chrome.action.setBadgeBackgroundColor({ color: sentence ? BAD : ACCENT });
  chrome.action.setBadgeTextColor({ color: "#fff" });
  chrome.action.setBadgeText({ text: sentence ? "!" : String(count || "") });
}

async function take(frame) {
  const news = NEWS[frame.type]?.(frame) ?? [];
  if (frame.type !== "initial" && news.every(([id, status]) => states.get(id) === status)) return;
  for (const [id, status] of news) states.set(id, status);
  if (frame.type === "initial") for (const id of await sentIds()) if (!states.has(id)) states.set(id, "gone");
  await watch();
}

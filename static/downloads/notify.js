/** Notifications when a download ends: only for those who switched them on, and only while the page is not seen. */

import { pageOf, ROOT } from "./addresses.js";
import { titleOf } from "./row.js";
import { recall, remember } from "./remembered.js";
import { announce, data, phrase } from "./words.js";

const NAME = "notify";
const known = new Map(); // task id to state, of what is not finished

const isOn = () => recall(NAME) === "on" && globalThis.Notification?.permission === "granted";

export function wireNotifications() {
  const box = document.getElementById(NAME);
  box.checked = isOn();
  box.addEventListener("change", async () => {
    const isAllowed = box.checked && (await globalThis.Notification?.requestPermission()) === "granted";
    remember(NAME, isAllowed ? "on" : "off");
    const note = box.checked ? phrase(isAllowed ? "notify_on" : "notify_denied") : "";
    document.getElementById("notify-note").textContent = note;
    box.checked = isAllowed;
  });
}

/** Take in a frame of the feed. What ends is told to those who do not see the screen, and to those who look elsewhere. */
export function notice(frame) {
  if (frame.type === "initial") for (const task of frame.tasks) note(task);
  else if (frame.type === "task") note(frame.task);
  else if (frame.type === "deleted") known.delete(frame.task_id);
}

/** The items of a playlist say nothing: it does, when it ends. */
function note(task) {
  if (task.playlist_id) return;
  if (data.unfinished.includes(task.status)) known.set(task.id, task.status);
  else if (known.delete(task.id) && task.status !== "cancelled") tell(task);
}

async function tell(task) {
  const text = phrase("ended", { title: titleOf(task), state: data.states[task.status] });
  announce(text);
  if (!isOn() || document.visibilityState === "visible") return;
  const options = { body: data.states[task.status], icon: `${ROOT}static/downloads/icon-192.png`, tag: task.id, data: pageOf(task.id) };
  const worker = await navigator.serviceWorker?.ready;
  worker?.showNotification(titleOf(task), options);
}

/** A task's own page: when the task moves on, what the server says of it is taken anew. */

import { data, localTimes } from "./words.js";

const SETTLE = 300; // ms
const details = document.getElementById("details");
let waiting;

export function wireTask() {
  if (!details) return;
  const field = document.getElementById(location.hash.slice(1)); // the cure that a row has led to
  if (field?.matches("input, select, textarea")) field.focus();
}

/** Take in a frame of the feed. */
export function follows(frame) {
  const task = frame.type === "task" ? frame.task : frame.tasks?.find(({ id }) => id === data.task?.id);
  if (!details || task?.id !== data.task.id || task.revision <= Number(details.dataset.revision)) return;
  clearTimeout(waiting);
  waiting = setTimeout(reload, SETTLE);
}

/** Whoever fills in the form there is not disturbed. */
async function reload() {
  if (details.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return;
  const response = await fetch(location.href).catch(() => null);
  if (!response?.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("details");
  localTimes(fresh);
  details.dataset.revision = fresh.dataset.revision;
  const player = details.querySelector(".player");
  const isPlaying = player && !player.querySelector("video").paused;
  if (isPlaying) fresh.querySelector(".player")?.replaceWith(player);
  details.replaceChildren(...fresh.childNodes);
}

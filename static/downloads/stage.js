/** Plays a finished file in the page. */

import { fileOf } from "./addresses.js";
import { titleOf } from "./row.js";

const dialog = document.getElementById("stage");

export function play(task) {
  const video = dialog.querySelector("video");
  const error = dialog.querySelector(".error");
  error.hidden = true;
  dialog.querySelector("h2").textContent = titleOf(task);
  if (task.picture_url) video.poster = task.picture_url;
  else video.removeAttribute("poster");
  video.src = `${fileOf(task.id)}?inline=true`;
  video.onerror = () => {
    error.hidden = false;
  };
  dialog.showModal();
  video.play().catch(() => {}); // the browser wants a click first: the controls are there
  dialog.addEventListener("close", () => stop(video), { once: true });
}

/** Ends the transfer as well. */
function stop(video) {
  video.onerror = null;
  video.removeAttribute("src");
  video.load();
}

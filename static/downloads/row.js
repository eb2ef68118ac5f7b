/** One task's row. `_row` in downloads/views.py says the same for the page's first rendering. */

import { data, durationText, percentText, phrase, say, sizeText } from "./words.js";

const template = document.getElementById("task-template");

/** A new row, still without words. */
export function makeRow(task) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.task = task.id;
  row.id = `task-${task.id}`;
  return row;
}

/** Bring a row up to date; what has not changed is not touched. */
export function fillRow(row, task) {
  const parts = Object.fromEntries([...row.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  if (row.dataset.status !== task.status) row.dataset.status = task.status;
  for (const [name, text] of Object.entries(texts(task))) {
    setText(parts[name], text);
    show(parts[name], text !== "");
  }
  setText(parts.size, sizeText(task.file_size));
  fillBar(parts.bar, task);
  parts.site.href = task.url;
  parts.file.href = `/api/downloads/tasks/${task.id}/file`;
  show(parts.file, task.status === "completed");
  show(parts.cancel, data.unfinished.includes(task.status) && ["", "pause"].includes(task.stopping));
  show(parts.delete, task.stopping !== "delete");
  keepFocus(row);
}

function texts(task) {
  const hasBar = data.with_bar.includes(task.status);
  const isDownloading = task.status === "downloading";
  return {
    title: task.title || task.url,
    state: task.stopping ? data.stopping[task.stopping] : data.states[task.status],
    site: task.site || new URL(task.url).hostname,
    percent: hasBar && task.progress_percentage ? percentText(task.progress_percentage) : "",
    bytes: hasBar && task.downloaded_bytes ? bytesText(task) : "",
    speed: isDownloading && task.speed ? phrase("speed", { size: sizeText(task.speed) }) : "",
    left: isDownloading && task.eta ? phrase("left", { time: durationText(task.eta) }) : "",
    error: data.with_error.includes(task.status) ? say(task.error_message) : "",
    retry: retryText(task),
    start: data.start_verbs[task.status] ?? "",
  };
}

function bytesText(task) {
  const done = sizeText(task.downloaded_bytes);
  return task.total_bytes ? phrase("bytes", { done, total: sizeText(task.total_bytes) }) : done;
}

function retryText(task) {
  const wait = (task.next_attempt_at ?? 0) - Date.now() / 1000;
  if (task.status !== "queued" || wait <= 0) return "";
  return phrase("retry", { time: durationText(wait), number: task.failures + 1 });
}

/** A bar without a value says: at work, and nobody knows how much there is. */
function fillBar(bar, task) {
  const isRunning = data.running.includes(task.status);
  show(bar, data.with_bar.includes(task.status) && (isRunning || task.progress_percentage > 0));
  if (isRunning && !task.progress_percentage && !task.total_bytes) bar.removeAttribute("value");
  else if (bar.getAttribute("value") !== String(task.progress_percentage)) bar.value = task.progress_percentage;
}

function setText(part, text) {
  if (part.textContent !== text) part.textContent = text;
}

function show(part, isShown) {
  if (part.hidden === isShown) part.hidden = !isShown;
}

/** A button that goes while it has the focus hands it to its neighbour. */
function keepFocus(row) {
  const focused = document.activeElement;
  if (focused.hidden && row.contains(focused)) row.querySelector(".actions .button:not([hidden])")?.focus();
}

/** One task's row. `downloads/rows.py` says the same for the page's first rendering. */

import { fileOf, pageOf } from "./addresses.js";
import {
  clockText, data, durationText, numberText, percentText, phrase, say, sizeText,
} from "./words.js";

const template = document.getElementById("task-template");
const PLAYABLE = /\.(mp4|m4v|webm|mp3|m4a|ogg|opus|flac|wav)$/i;

/** A new row, still without words. */
export function makeRow(task) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.task = task.id;
  row.id = `task-${task.id}`;
  row.setAttribute("aria-labelledby", `title-${task.id}`);
  const parts = partsOf(row);
  parts.title.id = `title-${task.id}`;
  for (const name of ["title", "stage", "details"]) parts[name].href = pageOf(task.id);
  return row;
}

/** Bring a row up to date; what has not changed is not touched. */
export function fillRow(row, task) {
  const parts = partsOf(row);
  if (row.dataset.status !== task.status) row.dataset.status = task.status;
  for (const [name, text] of Object.entries(texts(task))) {
    setText(parts[name], text);
    show(parts[name], text !== "");
  }
  fillPicture(parts, task);
  fillBar(parts.bar, task);
  fillLinks(parts, task);
  fillLabels(parts, task);
  showActions(parts, task);
  keepFocus(row);
}

/** Whether browsers play the file of this task. */
export const canPlay = (task) => task.status === "completed" && !task.is_playlist && PLAYABLE.test(task.file_name);
export const canPause = (task) => data.pausable.includes(task.status) && !task.stopping;
export const canStart = (task) => Object.hasOwn(data.start_verbs, task.status);
export const titleOf = (task) => task.title || task.url;

const partsOf = (row) =>
  Object.fromEntries([...row.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));

function texts(task) {
  const hasBar = data.with_bar.includes(task.status);
  const isDownloading = task.status === "downloading";
  const hasFile = task.status === "completed" && !task.is_playlist;
  return {
    title: titleOf(task),
    state: task.stopping ? data.stopping[task.stopping] : data.states[task.status],
    site: siteOf(task),
    uploader: task.uploader,
    kept: task.keep ? phrase("kept") : "",
    length: task.duration ? clockText(task.duration) : "",
    entries: task.is_playlist ? phrase("entries", { number: numberText(task.playlist_total) }) : "",
    percent: hasBar && task.progress_percentage ? percentText(task.progress_percentage) : "",
    bytes: hasBar && task.downloaded_bytes ? bytesText(task) : "",
    size: hasFile ? sizeText(task.file_size) : "",
    speed: isDownloading && task.speed ? phrase("speed", { size: sizeText(task.speed) }) : "",
    left: isDownloading && task.eta ? phrase("left", { time: durationText(task.eta) }) : "",
    error: data.with_error.includes(task.status) ? errorText(task) : "",
    retry: retryText(task),
    cure: cureOf(task)?.text ?? "",
    start: data.start_verbs[task.status] ?? "",
  };
}

const siteOf = (task) => task.site || new URL(task.url).hostname;

function bytesText(task) {
  const done = sizeText(task.downloaded_bytes);
  return task.total_bytes ? phrase("bytes", { done, total: sizeText(task.total_bytes) }) : done;
}

function errorText(task) {
  const error = say(task.error_message);
  if (!error || task.usable_bytes === null) return error;
  return `${error} ${phrase("figures", { needed: sizeText(task.needed_bytes), usable: sizeText(task.usable_bytes) })}`;
}

function retryText(task) {
  if (task.waits_for === "room") return phrase("room");
  const wait = (task.next_attempt_at ?? 0) - Date.now() / 1000;
  if (task.status !== "queued" || wait <= 0) return "";
  return phrase("retry", { time: durationText(wait), number: task.failures + 1 });
}

/** What helps against the error, if anything of ours does. */
function cureOf(task) {
  return task.status === "failed" && !task.is_playlist ? data.cures[task.error_reason] : undefined;
}

function fillPicture(parts, task) {
  const source = task.picture_url ?? "";
  if (source && parts.picture.getAttribute("src") !== source) parts.picture.src = source;
  show(parts.picture, source !== "");
  show(parts.letter, source === "");
  setText(parts.letter, siteOf(task).replace(/^www\./, "").slice(0, 1).toUpperCase());
}

/** A bar without a value says: at work, and nobody knows how much there is. */
function fillBar(bar, task) {
  const isRunning = data.running.includes(task.status);
  show(bar, data.with_bar.includes(task.status) && (isRunning || task.progress_percentage > 0));
  if (isRunning && !task.progress_percentage && !task.total_bytes) bar.removeAttribute("value");
  else if (bar.getAttribute("value") !== String(task.progress_percentage)) bar.value = task.progress_percentage;
}

function fillLinks(parts, task) {
  parts.site.href = parts.source.href = task.url;
  parts.file.href = fileOf(task.id);
  parts.play.href = `${pageOf(task.id)}#play`;
  show(parts.cure_line, Boolean(cureOf(task)));
  parts.cure.href = `${pageOf(task.id)}#${cureOf(task)?.field ?? ""}`;
}

function fillLabels(parts, task) {
  const title = titleOf(task);
  setLabel(parts.pick, phrase("select", { title }));
  setLabel(parts.more, phrase("more", { title }));
  setLabel(parts.play, phrase("play", { title }));
  setLabel(parts.delete, phrase("delete", { title }));
}

function showActions(parts, task) {
  show(parts.file, task.status === "completed" && !task.is_playlist);
  show(parts.play, canPlay(task));
  show(parts.pause, canPause(task));
  show(parts.finish, task.is_live && task.status === "downloading" && !task.stopping);
  show(parts.cancel, data.unfinished.includes(task.status) && ["", "pause", "finish"].includes(task.stopping));
  show(parts.delete, task.stopping !== "delete");
  show(parts.live, task.is_live && data.unfinished.includes(task.status));
}

function setText(part, text) {
  if (part.textContent !== text) part.textContent = text;
}

function setLabel(part, text) {
  if (part.getAttribute("aria-label") !== text) part.setAttribute("aria-label", text);
}

function show(part, isShown) {
  if (part.hidden === isShown) part.hidden = !isShown;
}

/** A button that goes while it has the focus hands it to the row. */
function keepFocus(row) {
  const focused = document.activeElement;
  if (focused !== row && row.contains(focused) && focused.closest("[hidden]")) row.focus({ preventScroll: true });
}

/** What was sent from this browser, and how far it is. */

import { sentIds } from "./sent.js";
import { say, sentences, translate } from "./words.js";

const WITH_BAR = ["starting", "downloading", "processing", "paused"];
const WITH_PROBLEM = ["queued", "failed"]; // one that waits for its next attempt says why

const list = document.getElementById("tasks");
const template = document.getElementById("task");
const percent = new Intl.NumberFormat(say("language"), { style: "percent", maximumFractionDigits: 0 });
const known = await sentences();
const tasks = new Map(); // every task of the feed, since a new one may be there before it counts as sent from here
const rows = new Map();

/** Take in a frame of the feed. */
export async function take(frame) {
  if (frame.type === "initial") for (const task of frame.tasks) tasks.set(task.id, task);
  else if (frame.type === "task") tasks.set(frame.task.id, frame.task);
  else if (frame.type === "progress") move(frame.task_id, frame.progress);
  else if (frame.type === "deleted") tasks.delete(frame.task_id);
  await showSent();
}

/** Show those that were sent from here, newest first. */
export async function showSent() {
  const shown = (await sentIds()).filter((id) => tasks.has(id));
  for (const [id, row] of rows) if (!shown.includes(id)) row.remove();
  for (const id of shown) fill(rows.get(id) ?? makeRow(id), tasks.get(id));
  const order = shown.map((id) => rows.get(id));
  if (order.some((row, index) => list.children[index] !== row)) list.replaceChildren(...order);
  document.getElementById("sent").hidden = !shown.length;
}

function move(id, { status, percentage }) {
  const task = tasks.get(id);
  if (task) tasks.set(id, { ...task, status, progress_percentage: percentage });
}

function makeRow(id) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.querySelector("progress").setAttribute("aria-label", say("progress"));
  rows.set(id, row);
  return row;
}

function fill(row, task) {
  const hasBar = WITH_BAR.includes(task.status);
  const done = task.progress_percentage;
  row.dataset.status = task.status;
  setText(row, ".title", task.title || task.url);
  setText(row, ".state", say(task.stopping ? `stopping_${task.stopping}` : `state_${task.status}`));
  setText(row, ".percent", hasBar && done ? percent.format(done / 100) : "");
  setText(row, ".problem", WITH_PROBLEM.includes(task.status) ? translate(task.error_message, known) : "");
  const bar = row.querySelector("progress");
  bar.hidden = !hasBar;
  if (done) bar.value = done;
  else bar.removeAttribute("value"); // at work, and nobody knows how much there is
}

/** What has not changed is not touched, so that it is not read out again. */
function setText(row, selector, text) {
  const element = row.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

/** The list: the tasks that are known, and a row for each that this page of the list shows. */

import { fillRow, makeRow } from "./row.js";
import { data, phrase } from "./words.js";

const COMPLETE = 500; // the feed's first message holds every task there is, unless it holds this many

const list = document.getElementById("tasks");
const tasks = new Map(data.tasks.map((task) => [task.id, task]));
const rows = new Map([...list.children].map((row) => [row.dataset.task, row]));
const isFirstPage = data.page === 1;

/** @returns {object|undefined} what is known about this task */
export const find = (id) => tasks.get(id);

/** Take in a frame of the feed. */
export function take(frame) {
  if (frame.type === "initial") reset(frame.tasks);
  else if (frame.type === "task") put(frame.task);
  else if (frame.type === "deleted") drop(frame.task_id);
  else if (frame.type === "progress" && tasks.has(frame.task_id)) move(frame.task_id, frame.progress);
}

/** A task is new, or has changed. Late news is passed over, and pages of older tasks show no new ones. */
export function put(task) {
  const isNew = !tasks.has(task.id);
  if (isNew ? !isFirstPage : task.revision < tasks.get(task.id).revision) return;
  announce(task);
  tasks.set(task.id, task);
  if (isNew) arrange();
  else if (rows.has(task.id)) fillRow(rows.get(task.id), task);
}

/** A task is gone. */
export function drop(id) {
  if (tasks.delete(id)) arrange();
}

/** Count the seconds down that rows wait for their next attempt. */
export function tick() {
  for (const [id, row] of rows) if (tasks.get(id).next_attempt_at) fillRow(row, tasks.get(id));
}

function reset(current) {
  if (current.length < COMPLETE) {
    const ids = new Set(current.map((task) => task.id));
    for (const id of tasks.keys()) if (!ids.has(id)) tasks.delete(id);
  }
  for (const task of current) if (isFirstPage || rows.has(task.id)) tasks.set(task.id, task);
  arrange();
  for (const [id, row] of rows) fillRow(row, tasks.get(id));
}

function move(id, { percentage, progress_text, speed_text, ...progress }) {
  put({ ...tasks.get(id), ...progress, progress_percentage: percentage });
}

/** Newest first, as many as a page holds. Rows that stay are not moved, so that nothing flickers or loses the focus. */
function arrange() {
  const newest = [...tasks.values()].sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? 1 : -1));
  const shown = newest.slice(0, data.page_size);
  const ids = new Set(shown.map((task) => task.id));
  for (const [id, row] of rows) if (!ids.has(id)) removeRow(id, row);
  let place = list.firstElementChild;
  for (const task of shown) {
    const row = rows.get(task.id) ?? addRow(task);
    if (row === place) place = place.nextElementSibling;
    else list.insertBefore(row, place);
  }
  document.getElementById("empty").hidden = shown.length > 0;
  if (isFirstPage && newest.length > data.page_size) document.getElementById("older").hidden = false;
}

function addRow(task) {
  const row = makeRow(task);
  fillRow(row, task);
  rows.set(task.id, row);
  return row;
}

function removeRow(id, row) {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  rows.delete(id);
  if (hadFocus) (neighbour?.querySelector(".actions .button:not([hidden])") ?? document.getElementById("id_url")).focus();
}

/** Tell those who do not see the screen how a download ended. */
function announce(task) {
  const before = tasks.get(task.id);
  if (!before || before.status === task.status || !["completed", "failed"].includes(task.status)) return;
  const blanks = { title: task.title || task.url, state: data.states[task.status] };
  document.getElementById("announcement").textContent = phrase("announced", blanks);
}

/**
 * The list: one page of the tasks that the chosen tab, search and order show. The server knows which tasks those are;
 * news changes the rows that are here at once, and where it may change which rows are here, the page is asked for anew.
 */

import { ROOT } from "./addresses.js";
import * as api from "./api.js";
import { fillRow, makeRow } from "./row.js";
import { data, numberText, phrase } from "./words.js";

const SETTLE = 250; // ms from the first news to the question
const PAUSE = 1500; // ms between two questions, however much news there is

const list = document.getElementById("tasks");
const isList = list !== null;
const isSingle = Boolean(data.task);
const tasks = new Map([...(data.tasks ?? []), ...(isSingle ? [data.task] : [])].map((task) => [task.id, task]));
const rows = new Map(
  [...document.querySelectorAll("#tasks > .task, #this-task > .task")].map((row) => [row.dataset.task, row]),
);
const others = new Map(); // tasks of other pages, which were selected
const listeners = [];
const leaving = new Set(); // deleted here, and perhaps not there yet
let ids = (data.tasks ?? []).map((task) => task.id);
let total = data.total ?? 0;
let more = data.is_part ? "+" : "";
let counts = data.counts ?? {};
let asked = data.asked;
let question, isAsking, isStale, hasComplained, askedAt = 0;

/** @returns {object|undefined} what is known about this task */
export const find = (id) => tasks.get(id) ?? others.get(id);
export const rowOf = (id) => rows.get(id);
export const shownIds = () => ids.filter((id) => !leaving.has(id));
export const matchingTotal = () => total;
/** Be told when other rows are shown. */
export const onChange = (listener) => listeners.push(listener);

/** Take in a frame of the feed. */
export function take(frame) {
  if (frame.type === "initial") catchUp(frame.tasks);
  else if (frame.type === "task") put(frame.task);
  else if (frame.type === "deleted") drop(frame.task_id);
  else if (frame.type === "progress" && tasks.has(frame.task_id)) move(frame.task_id, frame.progress);
}

/** A task is new, or has changed. Late news is passed over. */
export function put(task) {
  const before = tasks.get(task.id);
  if (before && task.revision < before.revision) return;
  if (before) {
    tasks.set(task.id, task);
    if (rows.has(task.id)) fillRow(rows.get(task.id), task);
    if (before.status === task.status) return;
  } else if (isList && belongs(task) && asked.page === 1 && asked.order === "-created_at" && !asked.q && isNewest(task)) {
    tasks.set(task.id, task);
    ids = [task.id, ...ids].slice(0, data.page_size);
    arrange();
  }
  if (before || belongs(task)) refresh();
}

/** A task is gone. */
export function drop(id) {
  leaving.delete(id);
  const wasHere = ids.includes(id);
  if (isSingle && id === data.task.id) location.assign(ROOT);
  ids = ids.filter((other) => other !== id);
  tasks.delete(id);
  if (wasHere) arrange();
  refresh();
}

/** Hide tasks that are about to be deleted, or show them again. */
export function setLeaving(wanted, isLeaving) {
  for (const id of wanted) (isLeaving ? leaving.add(id) : leaving.delete(id));
  arrange();
}

/** Look at another part of the list, and let the address say so. */
export async function show(changes, { isTyping = false } = {}) {
  asked = { ...asked, page: 1, ...changes };
  history[isTyping ? "replaceState" : "pushState"](null, "", address(asked));
  await ask();
  if (!isTyping) document.getElementById("list").scrollIntoView({ block: "start" });
}

/** Ask for the page of the list again, soon, and not more often than is good for the service. */
function refresh() {
  if (!isList) return;
  if (isAsking) isStale = true;
  else question ??= setTimeout(ask, Math.max(SETTLE, askedAt + PAUSE - Date.now()));
}

/** The ids of the first tasks of all pages that this tab and search show, 1,000 at most. */
export async function matchingIds() {
  const pages = await Promise.all([0, 500].map((offset) => api.list({ ...query(), limit: 500, offset })));
  const found = pages.flatMap((page) => page.tasks);
  for (const task of found) others.set(task.id, task);
  return found.map((task) => task.id);
}

/** Count the seconds down that rows wait for their next attempt. */
export function tick() {
  for (const [id, row] of rows) if (tasks.get(id)?.next_attempt_at) fillRow(row, tasks.get(id));
}

/** Let tabs, search, order and pages work without leaving the page. */
export function wireList() {
  if (!isList) return;
  const search = document.getElementById("search");
  let typing;
  search.addEventListener("input", (event) => {
    clearTimeout(typing);
    const wait = event.target.type === "search" ? 200 : 0;
    typing = setTimeout(show, wait, read(search), { isTyping: true });
  });
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    show(read(search));
  });
  document.getElementById("list").addEventListener("click", (event) => {
    const link = event.target.closest("[data-tab], #newer, #older, [data-all]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.tab) show({ tab: link.dataset.tab });
    else if (link.id) show({ page: asked.page + (link.id === "older" ? 1 : -1) });
    else show({ tab: "all", q: "" });
  });
  addEventListener("popstate", () => {
    const wanted = new URLSearchParams(location.search);
    const said = Object.fromEntries(["tab", "q", "order"].map((name) => [name, wanted.get(name) ?? data.usual[name]]));
    if (asked.playlist) said.order = asked.order;
    asked = { ...asked, ...said, page: Number(wanted.get("page") ?? 1) };
    ask();
  });
}

function read(search) {
  const said = Object.fromEntries(new FormData(search));
  return { q: said.q.trim(), order: said.order ?? asked.order };
}

function address({ playlist, ...wanted }) {
  const said = Object.entries(wanted).filter(
    ([name, value]) => String(value) !== String(data.usual[name]) && !(playlist && name === "order"),
  );
  return said.length ? `?${new URLSearchParams(said)}` : location.pathname;
}

async function ask() {
  clearTimeout(question);
  question = null;
  if (isAsking) {
    isStale = true;
    return;
  }
  isAsking = true;
  const wanted = asked;
  try {
    const offset = (asked.page - 1) * data.page_size;
    const [page, found] = await Promise.all([
      api.list({ ...query(), limit: data.page_size, offset }),
      api.counts(scope()),
    ]);
    if (wanted === asked) takePage(page, found);
    else isStale = true;
    if (hasComplained) tell(""); // what an action has said stays until the next one
    hasComplained = false;
  } catch (problem) {
    tell(problem.message);
    hasComplained = true;
  } finally {
    askedAt = isStale && wanted !== asked ? 0 : Date.now();
    isAsking = false;
    if (isStale) {
      isStale = false;
      if (wanted === asked) refresh();
      else await ask();
    }
  }
}

/** What the tabs count: as `Asked.candidates` in downloads/asked.py. */
function scope() {
  return { q: asked.q, playlist: asked.playlist || (asked.q ? "" : "none") };
}

function query() {
  const status = asked.tab === "all" ? "" : data.tabs[asked.tab].join(",");
  return { ...scope(), order: asked.order, status };
}

function takePage(page, found) {
  counts = found;
  total = page.total;
  more = page.isPart ? "+" : "";
  for (const task of page.tasks) {
    const before = tasks.get(task.id);
    if (!before || before.revision < task.revision) tasks.set(task.id, task);
  }
  ids = page.tasks.map((task) => task.id);
  const needed = new Set([...ids, ...leaving, data.task?.id]);
  for (const id of tasks.keys()) if (!needed.has(id)) tasks.delete(id);
  arrange();
  if (!ids.length && asked.page > 1) show({ page: Math.max(1, Math.ceil(total / data.page_size)) }, { isTyping: true });
}

function belongs(task) {
  if (!isList || leaving.has(task.id)) return false;
  return asked.playlist ? task.playlist_id === asked.playlist : Boolean(asked.q) || task.playlist_id === null;
}

function isNewest(task) {
  const first = tasks.get(ids[0]);
  return data.tabs[asked.tab].includes(task.status) && (!first || task.created_at >= first.created_at);
}

/** After a break: what is here may have moved on, and the page of the list may hold other tasks. */
function catchUp(current) {
  for (const task of current) {
    const before = tasks.get(task.id);
    if (!before || task.revision < before.revision) continue;
    tasks.set(task.id, task);
    if (rows.has(task.id)) fillRow(rows.get(task.id), task);
  }
  askedAt = 0;
  refresh();
}

function move(id, { percentage, progress_text, speed_text, ...progress }) {
  put({ ...tasks.get(id), ...progress, progress_percentage: percentage });
}

/** Rows that stay are not moved, so that nothing flickers or loses the focus. */
function arrange() {
  if (!isList) return;
  const shown = shownIds();
  const wanted = new Set([...shown, data.task?.id]);
  for (const [id, row] of rows) if (!wanted.has(id)) removeRow(id, row);
  let place = list.firstElementChild;
  for (const id of shown) {
    const row = rows.get(id) ?? addRow(tasks.get(id));
    if (row === place) place = place.nextElementSibling;
    else list.insertBefore(row, place);
    fillRow(row, tasks.get(id));
  }
  fillAround(shown.length);
  for (const listener of listeners) listener();
}

function addRow(task) {
  const row = makeRow(task);
  rows.set(task.id, row);
  return row;
}

function removeRow(id, row) {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  rows.delete(id);
  if (hadFocus) (neighbour ?? document.getElementById("id_url") ?? document.getElementById("q")).focus();
}

/** Tabs with their counts, what an empty list says, and the way to the other pages. */
function fillAround(number) {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    const count = data.tabs[tab.dataset.tab].reduce((sum, status) => sum + counts[status], 0);
    tab.querySelector(".count").textContent = numberText(count) + more;
    tab.toggleAttribute("data-empty", count === 0 && !more);
    if (tab.dataset.tab === asked.tab) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    tab.href = address({ ...asked, tab: tab.dataset.tab, page: 1 });
  }
  const isNarrowed = Boolean(asked.q) || asked.tab !== "all";
  document.getElementById("empty").hidden = number > 0 || isNarrowed;
  document.getElementById("nothing").hidden = number > 0 || !isNarrowed;
  const pages = Math.max(1, Math.ceil(total / data.page_size));
  document.getElementById("pages").hidden = pages === 1;
  const blanks = { number: numberText(asked.page), total: numberText(pages) + more };
  document.getElementById("page-number").textContent = phrase("page", blanks);
  for (const [id, page] of [["newer", asked.page - 1], ["older", asked.page + 1]]) {
    const link = document.getElementById(id);
    link.hidden = page < 1 || page > pages;
    link.href = address({ ...asked, page });
  }
  const search = document.getElementById("search");
  if (document.activeElement !== search.elements.q) search.elements.q.value = asked.q;
  if (search.elements.order) search.elements.order.value = asked.order;
  search.elements.tab.value = asked.tab;
}

/** Say above the list what could not be done; empty: all is well. */
export function tell(sentence) {
  const notice = document.getElementById("notice");
  if (notice) notice.textContent = sentence;
}

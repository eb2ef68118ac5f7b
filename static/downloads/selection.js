/** The selection of many tasks, by mouse and keyboard, and the bar with what can be done to them. */

import { actOnMany, copyLinks } from "./actions.js";
import { deleteAfterAsking } from "./deletion.js";
import { matchingIds, matchingTotal, onChange, rowOf, shownIds, tell } from "./list.js";
import { announce, numberText, phrase } from "./words.js";

const MOST = 1000; // what the API takes at once

const bar = document.getElementById("bulk");
const list = document.getElementById("tasks");
const selected = new Set();
let anchor; // where a selection with Shift begins

export const hasSelection = () => selected.size > 0;

export function wireSelection() {
  if (!bar) return;
  list.addEventListener("click", (event) => {
    const box = event.target.closest(".pick input");
    if (!box) return;
    const id = box.closest("[data-task]").dataset.task;
    if (event.shiftKey && anchor) selectTo(id, box.checked);
    else pick(id, box.checked);
  });
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("[data-bulk]");
    if (button) TOOLS[button.dataset.bulk]();
  });
  onChange(() => fill());
}

/** Select or unselect one; it is where a selection with Shift begins. */
export function pick(id, isSelected = !selected.has(id)) {
  anchor = id;
  set([id], isSelected);
}

/** From where the selection began up to this one. */
export function selectTo(id, isSelected = true) {
  const ids = shownIds();
  const [from, to] = [ids.indexOf(anchor), ids.indexOf(id)].sort((a, b) => a - b);
  set(from < 0 ? [id] : ids.slice(from, to + 1), isSelected);
}

export function selectPage() {
  set(shownIds(), true);
}

export function selectNothing() {
  set([...selected], false);
}

/** Delete what is selected. */
export async function deleteSelected() {
  const ids = [...selected];
  if (await deleteAfterAsking(ids)) selectNothing();
}

const TOOLS = {
  start: () => actOnMany("start", [...selected]),
  pause: () => actOnMany("pause", [...selected]),
  cancel: () => actOnMany("cancel", [...selected]),
  copy: () => copyLinks([...selected]),
  delete: deleteSelected,
  none: selectNothing,
  all: async () => {
    try {
      set(await matchingIds(), true);
    } catch (problem) {
      tell(problem.message);
    }
  },
};

function set(ids, isSelected) {
  for (const id of ids) (isSelected ? selected.add(id) : selected.delete(id));
  fill();
  announce(phrase("selected", { number: numberText(selected.size) }));
}

/** Those that are no longer shown stay selected only if all pages were selected. */
function fill() {
  const shown = new Set(shownIds());
  if (selected.size <= shown.size) for (const id of selected) if (!shown.has(id)) selected.delete(id);
  for (const id of shown) {
    const row = rowOf(id);
    row.toggleAttribute("data-selected", selected.has(id));
    row.querySelector(".pick input").checked = selected.has(id);
  }
  bar.hidden = selected.size === 0;
  document.body.toggleAttribute("data-selecting", selected.size > 0);
  document.getElementById("selected").textContent = phrase("selected", { number: numberText(selected.size) });
  const all = bar.querySelector("[data-bulk=all]");
  const most = Math.min(matchingTotal(), MOST);
  all.hidden = selected.size >= most;
  all.textContent = phrase("select_all", { number: numberText(most) });
}

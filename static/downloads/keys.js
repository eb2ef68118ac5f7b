/** The keyboard. Keys without Ctrl can be switched off, as people who dictate need. */

import { act, copyLinks, openDetails, openSource, playIfPossible, toggle } from "./actions.js";
import { focusField } from "./add.js";
import { ROOT } from "./addresses.js";
import { undoLast } from "./deletion.js";
import { rowOf, shownIds } from "./list.js";
import { showHelp } from "./menus.js";
import { recall, remember } from "./remembered.js";
import { deleteSelected, hasSelection, pick, selectNothing, selectPage, selectTo } from "./selection.js";

const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, dialog, video";
const PRESSING = "a, button, summary, input, select";
const LEAVABLE = "#id_url, #q";
const NAME = "shortcuts";

const isOn = () => recall(NAME) !== "off";

export function wireKeys() {
  const toggleBox = document.getElementById("shortcuts");
  toggleBox.checked = isOn();
  toggleBox.addEventListener("change", () => remember(NAME, toggleBox.checked ? "on" : "off"));
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target.matches(LEAVABLE)) return leave(event.target);
  if (event.target.closest(TYPING)) return;
  const row = event.target.closest(".task");
  const id = row?.dataset.task;
  const does = event.ctrlKey || event.metaKey ? withCtrl(event, id) : plain(event, id);
  if (!does) return;
  event.preventDefault();
  does();
}

/** A search that says something is emptied first, by the browser. */
function leave(field) {
  if (field.type !== "search" || !field.value) document.getElementById("main").focus({ preventScroll: true });
}

function withCtrl({ key }, id) {
  return key === "a" && (id || hasSelection()) && document.getElementById("tasks") ? selectPage : null;
}

function plain({ key, shiftKey, target }, id) {
  if (key === "Escape") return hasSelection() ? selectNothing : null;
  if (!isOn()) return null;
  const everywhere = EVERYWHERE[key];
  if (everywhere) return everywhere();
  if (key in STEPS) return () => step(id, STEPS[key], shiftKey);
  if (!id) return key === "Delete" && hasSelection() ? deleteSelected : null;
  if ((key === "Enter" || key === " ") && target.closest(PRESSING)) return null;
  return ON_A_ROW[key] && (() => ON_A_ROW[key](id));
}

const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

const EVERYWHERE = {
  "?": () => showHelp,
  "/": () => focusOn(document.getElementById("q")),
  n: () => (document.getElementById("add") ? focusField : () => location.assign(ROOT)),
  u: () => undoLast,
};

const focusOn = (field) => field && (() => field.select() ?? field.focus());

const ON_A_ROW = {
  Enter: openDetails,
  " ": (id) => pick(id),
  x: (id) => pick(id),
  p: toggle,
  v: playIfPossible,
  c: (id) => copyLinks([id]),
  o: openSource,
  Delete: (id) => (hasSelection() ? deleteSelected() : act("delete", id)),
};

/** Go to the next row, or the one before; with Shift they are selected on the way. */
function step(id, direction, isSelecting) {
  const ids = shownIds();
  const place = id ? ids.indexOf(id) + direction : direction > 0 ? 0 : ids.length - 1;
  const next = ids[Math.min(Math.max(place, 0), ids.length - 1)];
  if (!next) return;
  if (isSelecting && id) {
    if (!rowOf(id).hasAttribute("data-selected")) pick(id, true);
    selectTo(next);
  }
  rowOf(next).focus();
  rowOf(next).scrollIntoView({ block: "nearest" });
}

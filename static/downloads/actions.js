/** What is done to tasks: by the buttons of their rows, by keys, and to many at once. */

import * as api from "./api.js";
import { deleteAfterAsking } from "./deletion.js";
import { find, put, rowOf, tell } from "./list.js";
import { canPause, canPlay, canStart } from "./row.js";
import { play } from "./stage.js";
import { copy, toast } from "./toasts.js";
import { numberText, phrase, say } from "./words.js";

/** Let the rows' buttons act without leaving the page. */
export function wireActions() {
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.verb) return;
    event.preventDefault();
    pressed(button);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-verb=copy], [data-part=play], [data-part=stage]");
    const task = link && find(link.closest("[data-task]").dataset.task);
    if (!task || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.dataset.verb) copyLinks([task.id]);
    else if (canPlay(task)) {
      event.preventDefault();
      play(task);
    }
  });
}

async function pressed(button) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  await act(button.dataset.verb, button.closest("[data-task]").dataset.task);
  button.closest("details")?.removeAttribute("open");
  button.ariaDisabled = "false";
}

/** Do one of `start`, `pause`, `finish`, `cancel`, `delete` to a task; what is refused is said above the list. */
export async function act(verb, id) {
  tell("");
  try {
    if (verb === "delete") await deleteAfterAsking([id]);
    else {
      await api.act(verb, id);
      put(await api.task(id));
    }
  } catch (problem) {
    tell(problem.message);
    if (!document.getElementById("notice")) toast(problem.message, { seconds: 10 });
  }
}

/** Pause a task that runs, or start one that does not. */
export function toggle(id) {
  const task = find(id);
  if (canPause(task)) return act("pause", id);
  return canStart(task) ? act("start", id) : undefined;
}

export function playIfPossible(id) {
  if (canPlay(find(id))) play(find(id));
}

export const openSource = (id) => open(find(id).url, "_blank", "noopener");
export const openDetails = (id) => location.assign(rowOf(id).querySelector("[data-part=title]").href);
export const copyLinks = (ids) => copy(ids.map((id) => find(id).url).join("\n"));

/** Do one of `start`, `pause`, `cancel` to those of many that it can be done to. */
export async function actOnMany(verb, ids) {
  tell("");
  try {
    const refused = (await api.actOnMany(verb, ids)).filter((result) => result.status === "error");
    if (refused.length) {
      tell(phrase("some_refused", { number: numberText(refused.length), reason: say(refused[0].error) }));
    }
  } catch (problem) {
    tell(problem.message);
  }
}

/** Deletion: asked about, undone for 5 seconds, and then sent; also when the page is left before. */

import * as api from "./api.js";
import { find, drop, setLeaving, tell } from "./list.js";
import { titleOf } from "./row.js";
import { toast } from "./toasts.js";
import { announce, numberText, phrase } from "./words.js";

const dialog = document.getElementById("delete-dialog");
const pending = []; // {ids, deleteFiles, close}, the newest last

/** Ask, and delete these unless somebody keeps them or undoes it. @returns {Promise<boolean>} whether they go */
export async function deleteAfterAsking(ids) {
  const answer = await ask(ids.map(find));
  if (answer) leave({ ids, ...answer });
  return Boolean(answer);
}

/** Bring back what was deleted last, if its time is not over. */
export function undoLast() {
  pending.at(-1)?.undo();
}

/** What is still to be deleted goes when the page does. */
export function wireDeletion() {
  addEventListener("pagehide", () => {
    for (const each of [...pending]) each.close(true);
  });
}

function leave({ ids, deleteFiles }) {
  const one = ids.length === 1 && titleOf(find(ids[0]));
  const text = one ? phrase("deleting", { title: one }) : phrase("deleting_many", { number: numberText(ids.length) });
  const forget = () => pending.splice(pending.indexOf(each), 1);
  const undo = () => {
    forget();
    each.close(false);
    setLeaving(ids, false);
    announce(phrase("undone"));
  };
  const each = { undo };
  pending.push(each);
  setLeaving(ids, true);
  each.close = toast(text, {
    button: phrase("undo"),
    act: undo,
    end: async () => {
      forget();
      try {
        await api.remove(ids, deleteFiles);
        ids.forEach(drop);
      } catch (problem) {
        setLeaving(ids, false);
        tell(problem.message);
      }
    },
  });
}

/** @returns {Promise<{deleteFiles: boolean}|null>} null: keep them */
function ask(tasks) {
  const box = dialog.querySelector("input");
  const isOne = tasks.length === 1;
  box.checked = false;
  box.parentElement.hidden = !tasks.some((task) => task.status === "completed" || task.is_playlist);
  dialog.querySelector("h2").textContent = isOne
    ? phrase("delete_one")
    : phrase("delete_many", { number: numberText(tasks.length) });
  dialog.querySelector(".delete-title").textContent = tasks.slice(0, 5).map(titleOf).join("\n");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => resolve(dialog.returnValue === "delete" ? { deleteFiles: box.checked } : null);
    dialog.addEventListener("close", answer, { once: true });
  });
}

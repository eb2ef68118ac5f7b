/** The buttons of the rows. */

import * as api from "./api.js";
import { drop, find, put } from "./list.js";

const list = document.getElementById("tasks");
const notice = document.getElementById("notice");
const dialog = document.getElementById("delete-dialog");

const VERBS = {
  start: async (id) => {
    await api.start(id);
    put(await api.task(id));
  },
  cancel: async (id) => {
    await api.cancel(id);
    put(await api.task(id));
  },
  delete: async (id) => {
    const answer = await askAboutDelete(find(id));
    if (!answer) return;
    await api.remove(id, answer.deleteFile);
    drop(id);
  },
};

/** Let the rows' buttons act without leaving the page. */
export function wireActions() {
  list.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    notice.textContent = "";
    try {
      await VERBS[button.dataset.verb](button.closest("[data-task]").dataset.task);
    } catch (problem) {
      notice.textContent = problem.message;
    } finally {
      button.ariaDisabled = "false";
    }
  });
}

/** @returns {Promise<{deleteFile: boolean}|null>} null: keep it */
function askAboutDelete(task) {
  const box = dialog.querySelector("input");
  box.checked = false;
  box.parentElement.hidden = task.status !== "completed";
  dialog.querySelector(".delete-title").textContent = task.title || task.url;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => resolve(dialog.returnValue === "delete" ? { deleteFile: box.checked } : null);
    dialog.addEventListener("close", answer, { once: true });
  });
}

/** The form: Enter adds a link and starts it, and the field is free for the next one. */

import * as api from "./api.js";
import { put } from "./list.js";
import { data } from "./words.js";

const form = document.getElementById("add");
const field = form.elements.url;
const error = document.getElementById("add-error");
const choices = [form.elements.quality, form.elements.post_processing];

/** Let the form work without leaving the page. On a page of older tasks it leaves it, to where the new one is. */
export function wireForm() {
  rememberChoices();
  if (data.page === 1) form.addEventListener("submit", submit);
  field.addEventListener("input", () => complain(""));
}

async function submit(event) {
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  complain("");
  try {
    const [quality, post_processing] = choices.map((choice) => choice.value);
    const id = await api.add({ url: field.value, quality, post_processing });
    field.value = "";
    await api.start(id).finally(async () => put(await api.task(id)));
  } catch (problem) {
    complain(problem.message);
  } finally {
    form.ariaBusy = "false";
    field.focus();
  }
}

function complain(sentence) {
  error.textContent = sentence;
  if (sentence) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

/** The choices of last time hold again; an answer of the server to this very form knows better. */
function rememberChoices() {
  for (const choice of choices) {
    const last = "answered" in form.dataset ? null : recall(choice.name);
    if ([...choice.options].some((option) => option.value === last)) choice.value = last;
    choice.addEventListener("change", () => remember(choice.name, choice.value));
  }
}

// A browser that keeps nothing for this site throws instead.
function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // then it is forgotten
  }
}

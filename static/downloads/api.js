/** The REST API. Every function throws an Error whose message is a sentence for people, in their language. */

import { API, ROOT } from "./addresses.js";
import { phrase, say } from "./words.js";

export const task = (id) => body(ask(`${API}/tasks/${id}`));
export const stats = () => body(ask(`${API}/stats`));
export const extract = (wanted) => body(send(`${API}/extract`, wanted));
export const presets = () => body(ask(`${API}/presets`));

/** Do one of `start`, `pause`, `finish`, `cancel` to a task. */
export const act = (verb, id) => ask(`${API}/${verb}/${id}`, { method: "POST" });

/** Do one of `start`, `pause`, `cancel` to many. @returns {Promise<object[]>} what became of each */
export const actOnMany = async (verb, ids) => (await body(send(`${API}/batch/${verb}`, ids))).results;

/** Delete these, also while the page is being left. */
export function remove(ids, deleteFiles) {
  return send(`${API}/batch/delete?delete_file=${deleteFiles}`, ids, { keepalive: true });
}

/** One page of the list. `isPart`: there may be more than the total. @returns {Promise<{tasks: object[], total: number, isPart: boolean}>} */
export async function list(query) {
  const response = await ask(`${API}/tasks?${new URLSearchParams(query)}`);
  const isPart = response.headers.has("X-Count-Is-Part");
  return { tasks: await response.json(), total: Number(response.headers.get("X-Total-Count")), isPart };
}

export const counts = (query) => body(ask(`${API}/counts?${new URLSearchParams(query)}`));

/** Post the form of the page as it is. @returns {Promise<object[]>} what became of each link */
export async function add(form) {
  const answer = await ask(ROOT, { method: "POST", body: form, headers: { Accept: "application/json" } });
  return (await answer.json()).results;
}

function send(path, value, options = {}) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { ...options, method: "POST", headers, body: JSON.stringify(value) });
}

const body = async (response) => (await response).json();

async function ask(path, options = {}) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value; // needed where one has to log in
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, "X-CSRFToken": token } });
  } catch {
    throw new Error(phrase("unreachable"));
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({ detail: phrase("unreachable") }));
  throw new Error(say(answer.detail));
}

/** The REST API. Every function throws an Error whose message is a sentence for people, in their language. */

import { phrase, say } from "./words.js";

const BASE = "/api/downloads";

/** @returns {Promise<string>} the id of the new task */
export async function add(link) {
  const headers = { "Content-Type": "application/json" };
  return (await ask("/add", { method: "POST", headers, body: JSON.stringify(link) })).task_id;
}

export const start = (id) => ask(`/start/${id}`, { method: "POST" });
export const cancel = (id) => ask(`/cancel/${id}`, { method: "POST" });
export const remove = (id, deleteFile) => ask(`/tasks/${id}?delete_file=${deleteFile}`, { method: "DELETE" });
export const task = (id) => ask(`/tasks/${id}`);

async function ask(path, options = {}) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value; // needed where one has to log in
  let response;
  try {
    response = await fetch(BASE + path, { ...options, headers: { ...options.headers, "X-CSRFToken": token } });
  } catch {
    throw new Error(phrase("unreachable"));
  }
  const answer = await response.json().catch(() => ({ detail: phrase("unreachable") }));
  if (!response.ok) throw new Error(say(answer.detail));
  return answer;
}

/** The server's API. Every function throws an Error whose message is a sentence for people, in their language. */

import { isAllowed, serverAccess } from "./access.js";
import { settings } from "./settings.js";
import { say, sentences, translate } from "./words.js";

export const KEY_COMMAND = "manage.py apikey create browser --scopes read,add";
const BASE = "/api/downloads";
const PATIENCE = 20_000; // milliseconds

/** @returns {Promise<{task_id: string, status: string}>} `exists` if the server is busy with this link already */
export const add = (wish) => ask(`${BASE}/add`, wish);

export const qualities = async () => (await ask(`${BASE}/qualities`)).qualities;
export const presets = async () => (await ask(`${BASE}/presets`)).map((preset) => preset.name);

/** Where the feed is, with a ticket for it: a page cannot put the key into a WebSocket's headers. */
export async function feedAddress() {
  const { ticket } = await ask(`${BASE}/ws-ticket`, {});
  const { server } = await settings();
  return `${server.replace(/^http/, "ws")}${BASE}/ws?ticket=${ticket}`;
}

/**
 * Try whether the server answers and whether it would take a link from here.
 *
 * @returns {Promise<string>} the server's version
 */
export async function test() {
  const { version } = await ask("/api/health");
  await qualities();
  await ask(`${BASE}/add`, {}, ["VALIDATION_ERROR"]); // a link is missing, and that is all that is wrong with it
  return version;
}

/** Ask the server: with a body it is a POST. Refusals with one of the `expected` codes are an answer, too. */
async function ask(path, body, expected = []) {
  const { server, key } = await settings();
  if (!(await isAllowed(serverAccess(server)))) throw new Error(say("problem_access", server));
  const response = await request(server + path, key, body);
  if (response.type === "opaqueredirect") throw new Error(say("problem_elsewhere", server));
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  if (!answer?.error_code) throw new Error(say("problem_foreign", server));
  if (expected.includes(answer.error_code)) return answer;
  throw new Error(await refusal(answer, key));
}

/** The key and the cookies in a body are for this very address: no redirect takes them elsewhere. */
async function request(address, key, body) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  const manners = { credentials: "omit", redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) };
  try {
    return await fetch(address, { ...options, ...manners });
  } catch {
    throw new Error(say("problem_unreachable", new URL(address).origin));
  }
}

async function refusal({ error_code: code, detail }, key) {
  switch (code) {
    case "FORBIDDEN_ORIGIN": // a key that is known would have passed
    case "UNAUTHORIZED":
      return say(key ? "problem_bad_key" : "problem_no_key", KEY_COMMAND);
    case "FORBIDDEN":
      return say("problem_scopes", KEY_COMMAND);
    case "RATE_LIMITED":
      return say("problem_too_many");
    default:
      return translate(detail, await sentences());
  }
}

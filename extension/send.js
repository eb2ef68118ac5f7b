/** Sends a link to the server. */

import { add } from "./api.js";
import { cookiesFor } from "./cookies.js";
import { remember } from "./sent.js";

/**
 * Let the server download this, with the cookies of its site if the user said so for it.
 *
 * @param {{quality?: string, preset?: string, storeId?: string}} wish what is empty is as the server does it
 * @returns {Promise<string>} `created`, or `exists` if the server is busy with this link already
 */
export async function send(url, { quality, preset, storeId }) {
  const wish = { url, auto_start: true, if_exists: "return", cookies: await cookiesFor(url, storeId) };
  if (quality) wish.quality = quality;
  if (preset) wish.preset = preset;
  const { task_id, status } = await add(wish);
  await remember(task_id);
  return status;
}

/** The names of qualities, as the service's page has them. */

import { say } from "./words.js";

export function qualityText(name) {
  return /^\d+p$/.test(name) ? say("quality_height", name) : say(`quality_${name}`) || name;
}

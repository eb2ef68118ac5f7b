/** Short notes at the edge of the page, which may hold one button. They wait while somebody points at them. */

import { announce, phrase } from "./words.js";

const place = document.getElementById("toasts");

/**
 * Show a note.
 *
 * @param {string} text
 * @param {{seconds?: number, button?: string, act?: () => void, end?: () => void}} options `act` when the button is
 *   pressed, `end` when the time is over without that
 * @returns {(run: boolean) => void} takes it away at once; `true` as if its time were over, `false` without a word
 */
export function toast(text, { seconds = 5, button, act, end } = {}) {
  const note = document.createElement("div");
  note.className = "toast";
  note.append(Object.assign(document.createElement("p"), { textContent: text, dir: "auto" }));
  let left = seconds * 1000;
  let began, timer;
  const close = (isOver) => {
    clearTimeout(timer);
    note.remove();
    if (isOver) end?.();
  };
  const run = () => {
    began = Date.now();
    timer = setTimeout(close, left, true);
  };
  const hold = () => {
    clearTimeout(timer);
    left = Math.max(1000, left - (Date.now() - began));
  };
  if (button) {
    const press = Object.assign(document.createElement("button"), { className: "button", textContent: button });
    press.addEventListener("click", () => {
      close(false);
      act();
    });
    note.append(press);
  }
  for (const [name, does] of [["pointerenter", hold], ["focusin", hold], ["pointerleave", run], ["focusout", run]]) {
    note.addEventListener(name, does);
  }
  place.append(note);
  announce(button ? `${text} ${button}` : text);
  run();
  return close;
}

/** Put a text into the clipboard, and say whether that went well. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(phrase("copied"), { seconds: 2 });
  } catch {
    toast(phrase("not_copied", { link: text }), { seconds: 15 });
  }
}

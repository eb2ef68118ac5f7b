/**
 * The form: Enter adds a link and starts it, and the field is free for the next one. Several links become a list below
 * the field. The form goes to the server as it is, which takes it apart as it does without scripts.
 */

import { pageOf } from "./addresses.js";
import * as api from "./api.js";
import { linksIn, MOST } from "./links.js";
import { put, show } from "./list.js";
import { recall, remember } from "./remembered.js";
import { toast } from "./toasts.js";
import { data, numberText, phrase } from "./words.js";

const MOST_TEXT = 1_000_000; // characters of a dropped file that are read
const EDITABLE = "input, textarea, select, [contenteditable]";

const form = document.getElementById("add");
const field = form?.elements.url;
const error = document.getElementById("add-error");
const list = document.getElementById("links");
const left = document.getElementById("left");
const remembered = form ? [form.elements.quality, form.elements.post_processing] : [];
let links = []; // several, which wait in the list; the field is empty then
const sent = []; // what the service is being asked, the newest last
let sending = Promise.resolve();

/** Let the form work without leaving the page, and take links from wherever somebody pastes or drops them. */
export function wireForm() {
  if (!form) return;
  form.noValidate = true; // the service says what is missing, in the language of the page
  rememberChoices();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.submitter);
  });
  field.addEventListener("input", () => {
    complain("");
    left.replaceChildren();
    forgetHeight();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) setLinks(links.filter((link) => link !== button.value));
  });
  document.addEventListener("paste", paste);
  wireDrop();
  const brought = linksIn(field.value);
  if (brought.length > 1) takeLinks(brought);
}

/** What somebody would get now, for a look at it first, as the API is asked. */
export async function wanted() {
  const { quality, post_processing, cookies, preset } = form.elements;
  const url = (links[0] ?? field.value).trim();
  const usual = preset?.value && (await api.presets()).find(({ name }) => name === preset.value);
  const said = { quality: quality.value || usual?.quality, post_processing: post_processing.value || usual?.post_processing };
  return { url, ...said, cookies: cookies.value, picture: true };
}

/** Choose what only a look at the link can offer, and download. */
export function download({ max_height, playlist_items }) {
  form.elements.max_height.value = max_height || "";
  if (playlist_items !== undefined) form.elements.playlist_items.value = playlist_items;
  return submit();
}

/** Say below the field what is wrong; empty: nothing is. */
export function complain(sentence) {
  error.textContent = sentence;
  if (sentence) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

export function focusField() {
  field.focus();
  field.select();
}

/** One after the other, so that whoever is faster than the service loses nothing; the same twice in a row is one. */
function submit(button) {
  const body = new FormData(form);
  if (links.length) body.set("url", links.join("\n"));
  if (button?.name) body.set(button.name, button.value);
  if (button?.dataset.url) body.set("url", button.dataset.url);
  if (form.ariaBusy === "true" && body.get("url") === sent.at(-1)) return sending;
  sent.push(body.get("url"));
  form.ariaBusy = "true";
  complain("");
  const how = { isSingle: Boolean(button?.dataset.url), isMany: links.length > 0 };
  sending = sending.then(() => send(body, how));
  return sending;
}

async function send(body, how) {
  try {
    await answered(await api.add(body), body.get("url"), how);
  } catch (problem) {
    complain(problem.message);
  } finally {
    sent.shift();
    form.ariaBusy = String(sent.length > 0);
    field.focus();
  }
}

/** What is in the field or the list by now, and was not part of the question, stays. */
async function answered(results, asked, { isSingle, isMany }) {
  const refused = results.filter((result) => result.status === "error");
  const here = results.filter((result) => result.status === "exists");
  const made = results.filter((result) => result.status === "created");
  left.replaceChildren(...here.map(sayHere), ...(isMany ? refused.map(sayRefused) : []));
  if (!isMany && refused.length) complain(refused[0].error);
  if (isMany && !isSingle) {
    const known = new Set(asked.split("\n"));
    setLinks([...refused.map((result) => result.url), ...links.filter((link) => !known.has(link))]);
  } else if (!refused.length && !isSingle && field.value === asked) field.value = "";
  if (made.length) {
    forgetOnce();
    if (data.asked.tab !== "all" || data.asked.page !== 1) await show({ tab: "all", q: "" }, { isTyping: true });
  }
  for (const { task_id } of made.slice(0, data.page_size)) api.task(task_id).then(put, () => {});
}

/** What belongs to one link only does not hold for the next one. */
function forgetOnce() {
  forgetHeight();
  for (const name of ["custom_filename", "clip_from", "clip_to", "playlist_items"]) form.elements[name].value = "";
}

function forgetHeight() {
  form.elements.max_height.value = "";
}

/** A duplicate: said, with the way to it, and to be had all the same. */
function sayHere({ url, task_id, title, sentence }) {
  const line = Object.assign(document.createElement("p"), { className: "here" });
  const link = Object.assign(document.createElement("a"), { href: pageOf(task_id), textContent: title, dir: "auto" });
  const again = Object.assign(document.createElement("button"), {
    className: "button", name: "again", value: "on", textContent: phrase("again"), type: "button",
  });
  again.dataset.url = url;
  again.addEventListener("click", () => {
    line.remove();
    submit(again);
  });
  line.append(`${sentence} `, link, " ", again);
  return line;
}

function sayRefused({ url, error: reason }) {
  const line = Object.assign(document.createElement("p"), { className: "error" });
  line.append(Object.assign(document.createElement("span"), { textContent: url, dir: "ltr" }), `: ${reason}`);
  return line;
}

function setLinks(wantedLinks) {
  links = wantedLinks.slice(0, MOST);
  list.replaceChildren(...links.map(linkLine));
  list.hidden = links.length === 0;
  field.disabled = false;
  field.readOnly = links.length > 0;
  field.value = links.length ? phrase("links", { number: numberText(links.length) }) : "";
  const text = links.length ? phrase("download_many", { number: numberText(links.length) }) : phrase("download");
  document.getElementById("download").textContent = text;
  document.getElementById("look").disabled = links.length > 1;
}

function linkLine(link) {
  const line = document.createElement("li");
  const remove = Object.assign(document.createElement("button"), {
    type: "button", className: "button icon quiet", value: link, title: phrase("remove_link", { link }),
  });
  remove.setAttribute("aria-label", phrase("remove_link", { link }));
  remove.append(Object.assign(document.createElement("span"), { className: "glyph cross" }));
  line.append(Object.assign(document.createElement("span"), { textContent: link, dir: "ltr" }), remove);
  return line;
}

/** One link goes into the field, many into the list; nothing starts by itself. */
function takeLinks(found) {
  complain("");
  left.replaceChildren();
  if (!found.length) complain(phrase("no_links"));
  else if (found.length === 1 && !links.length) {
    field.value = found[0];
    forgetHeight();
  } else setLinks([...new Set([...links, ...found])]);
  if (links.length + found.length > MOST) toast(phrase("too_many_links"));
  field.focus();
}

/** In other fields a paste is theirs; in ours one link is as well, as it is. */
function paste(event) {
  const text = event.clipboardData?.getData("text/plain") ?? "";
  const isOurs = event.target === field;
  if (!isOurs && event.target.closest?.(EDITABLE)) return;
  if (document.querySelector("dialog[open]")) return;
  const found = linksIn(text);
  if (isOurs ? found.length < 2 && !links.length : !found.length) return;
  event.preventDefault();
  takeLinks(found);
}

function wireDrop() {
  const shade = document.getElementById("drop");
  const isWanted = (event) => ["text/uri-list", "text/plain", "Files"].some((type) => event.dataTransfer.types.includes(type));
  addEventListener("dragover", (event) => {
    if (!isWanted(event)) return;
    event.preventDefault();
    shade.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) shade.hidden = true;
  });
  addEventListener("drop", async (event) => {
    shade.hidden = true;
    if (!isWanted(event)) return;
    event.preventDefault();
    const { files } = event.dataTransfer;
    const said = event.dataTransfer.getData("text/uri-list") || event.dataTransfer.getData("text/plain");
    const texts = await Promise.all([...files].map((file) => file.slice(0, MOST_TEXT).text()));
    takeLinks(linksIn([said, ...texts].join("\n")));
  });
}

/** The choices of last time hold again; an answer of the server to this very form knows better. */
function rememberChoices() {
  for (const choice of remembered) {
    const last = "answered" in form.dataset ? null : recall(choice.name);
    if ([...choice.options].some((option) => option.value === last)) choice.value = last;
    choice.addEventListener("change", () => {
      remember(choice.name, choice.value);
      forgetHeight();
    });
  }
  form.elements.preset?.addEventListener("change", usePreset);
}

/** Another preset says quality and format, and the finer wishes that the form does not say. */
function usePreset() {
  for (const choice of remembered) choice.value = "";
}

/** Look first: what a link offers, in a sheet, before anything is downloaded. */

import { complain, download, wanted } from "./add.js";
import * as api from "./api.js";
import { clockText, data, numberText, phrase, sizeText } from "./words.js";

const button = document.getElementById("look");
const dialog = document.getElementById("look-dialog");
const part = (name) => dialog.querySelector(`[data-look="${name}"]`);
let found; // what is shown

export function wireLook() {
  if (!button) return;
  button.addEventListener("click", look);
  part("entries").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.entries;
    if (name) for (const box of visibleBoxes()) box.checked = name === "all";
    tellChosen({ keepsRange: false });
  });
  part("entries").addEventListener("input", (event) => {
    const name = event.target.dataset.entries;
    if (name === "search") search(event.target.value);
    else if (name === "range") chooseRange(event.target.value);
    else tellChosen({ keepsRange: false });
  });
  document.getElementById("look-form").addEventListener("submit", (event) => {
    if (event.submitter.value === "download") download(chosen());
  });
}

async function look() {
  button.ariaDisabled = "true";
  button.disabled = true;
  const word = button.textContent;
  button.textContent = phrase("looking");
  complain("");
  try {
    found = await api.extract(await wanted());
    fill();
    dialog.showModal();
  } catch (problem) {
    complain(problem.message);
  } finally {
    button.textContent = word;
    button.disabled = false;
    button.ariaDisabled = "false";
  }
}

function fill() {
  part("title").textContent = found.title || found.url;
  part("letter").textContent = found.site.replace(/^www\./, "").slice(0, 1).toUpperCase();
  const picture = found.picture_url ?? "";
  part("picture").hidden = !picture;
  part("letter").hidden = Boolean(picture);
  if (picture) part("picture").src = picture;
  const facts = [found.uploader, found.duration && clockText(found.duration), found.site];
  part("facts").replaceChildren(...facts.filter(Boolean).map((fact) => span(fact)));
  part("live").hidden = !found.is_live;
  part("live").textContent = phrase("live_now");
  fillHeights();
  fillFormats();
  fillEntries();
}

/** One choice for each height that there is, with the size of the largest file of it. */
function fillHeights() {
  const sizes = new Map();
  const sound = Math.max(0, ...found.formats.filter((format) => !format.height).map((format) => format.filesize));
  for (const { width, height, filesize, audio_codec } of found.formats) {
    const side = Math.min(width || height, height);
    if (side) sizes.set(side, Math.max(sizes.get(side) ?? 0, filesize && filesize + (audio_codec ? 0 : sound)));
  }
  const heights = [...sizes.keys()].sort((a, b) => b - a);
  part("heights").hidden = heights.length < 2;
  const taken = found.formats.filter((format) => found.selected_formats.includes(format.format_id));
  const usual = Math.max(0, ...taken.map(({ width, height }) => Math.min(width || height, height)));
  dialog.querySelector(".heights").replaceChildren(
    ...heights.map((height) => {
      const size = sizes.get(height);
      const radio = input("radio", { name: "height", value: height, checked: height === usual });
      return label(radio, span(`${height}p`), span(size ? phrase("about", { size: sizeText(size) }) : phrase("unknown_size"), "note"));
    }),
  );
}

function fillFormats() {
  part("formats").hidden = found.formats.length === 0;
  dialog.querySelector("tbody").replaceChildren(
    ...found.formats.map((format) => {
      const line = document.createElement("tr");
      if (found.selected_formats.includes(format.format_id)) line.dataset.taken = "";
      const picture = format.height ? [`${format.width || "?"} × ${format.height}`, format.video_codec] : [format.video_codec];
      const rate = format.bitrate ? `${numberText(Math.round(format.bitrate))} kbit/s` : "";
      const size = format.filesize ? sizeText(format.filesize) : "";
      const cells = [format.format_id, format.ext, picture.filter(Boolean).join(" "), [format.audio_codec, format.language].filter(Boolean).join(" "), size, rate];
      line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return line;
    }),
  );
}

function fillEntries() {
  part("entries").hidden = !found.is_playlist;
  for (const name of ["range", "search"]) dialog.querySelector(`[data-entries=${name}]`).value = "";
  dialog.querySelector(".entries").replaceChildren(
    ...found.entries.map((entry, index) => {
      const box = input("checkbox", { value: index + 1, checked: true });
      const length = entry.duration ? [span(clockText(entry.duration), "note")] : [];
      const line = document.createElement("li");
      const title = Object.assign(span(entry.title || entry.url), { dir: "auto" });
      line.append(label(box, span(numberText(index + 1), "number"), title, ...length));
      return line;
    }),
  );
  tellChosen({ keepsRange: false });
}

const boxes = () => [...dialog.querySelectorAll(".entries input")];
const visibleBoxes = () => boxes().filter((box) => !box.closest("li").hidden);

function search(text) {
  const words = text.toLocaleLowerCase(data.language);
  for (const line of dialog.querySelectorAll(".entries li")) {
    line.hidden = !line.textContent.toLocaleLowerCase(data.language).includes(words);
  }
}

function chooseRange(text) {
  const spans = spansIn(text);
  for (const box of boxes()) box.checked = spans.some(([from, to]) => Number(box.value) >= from && Number(box.value) <= to);
  tellChosen({ keepsRange: true });
}

const spansIn = (text) =>
  [...text.matchAll(/(\d+)(?:\s*-\s*(\d+))?/g)].map(([, from, to]) => [Number(from), Number(to ?? from)]);

function tellChosen({ keepsRange }) {
  if (!found.is_playlist) {
    part("download").disabled = false;
    return;
  }
  const numbers = boxes().filter((box) => box.checked).map((box) => Number(box.value));
  const range = dialog.querySelector("[data-entries=range]");
  if (!keepsRange) range.value = numbers.length === found.entries.length ? "" : inSpans(numbers);
  const blanks = { number: numberText(numbers.length), total: numberText(found.total_entries) };
  const isPart = found.entries.length < found.total_entries;
  const more = isPart ? ` ${phrase("first_entries", { number: numberText(found.entries.length), total: blanks.total })}` : "";
  part("chosen").textContent = phrase("of_entries", blanks) + more;
  part("download").disabled = !numbers.length && !spansIn(range.value).length;
}

/** 1, 2, 3 and 5 are `1-3,5`. */
function inSpans(numbers) {
  const spans = [];
  for (const number of numbers) {
    if (spans.at(-1)?.[1] === number - 1) spans.at(-1)[1] = number;
    else spans.push([number, number]);
  }
  return spans.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(",");
}

/** Nothing is said where it is as usual. */
function chosen() {
  const height = dialog.querySelector("[name=height]:checked");
  const isUsual = !height || height.defaultChecked;
  const playlist_items = found.is_playlist ? dialog.querySelector("[data-entries=range]").value : undefined;
  return { max_height: isUsual ? 0 : Number(height.value), playlist_items };
}

const span = (text, className = "") => Object.assign(document.createElement("span"), { textContent: text, className });

function input(type, { checked, ...rest }) {
  const made = Object.assign(document.createElement("input"), { type, ...rest });
  made.defaultChecked = made.checked = checked;
  return made;
}

function label(...children) {
  const made = document.createElement("label");
  made.append(...children);
  return made;
}

/** The header tells the truth: connected or not, how many are active and waiting, the speed of all, the free space. */

import * as api from "./api.js";
import { data, numberText, phrase, sizeText } from "./words.js";

const ROOM_EVERY = 60_000; // ms
const SAMPLES = 180; // one a second

const connection = document.getElementById("connection");
const room = document.getElementById("room");
const unfinished = new Map(); // every task that is not finished, by what the feed says: {status, speed}
const speeds = Array(SAMPLES).fill(0);
let isKnown = false; // whether the feed has said which tasks there are
let draw;

export function tellConnection(isConnected) {
  connection.hidden = false;
  connection.dataset.connected = isConnected;
  connection.textContent = phrase(isConnected ? "connected" : "reconnecting");
}

/** Take in a frame of the feed. */
export function count(frame) {
  if (frame.type === "initial") {
    unfinished.clear();
    isKnown = true;
    frame.tasks.forEach(note);
  } else if (frame.type === "task") note(frame.task);
  else if (frame.type === "deleted") unfinished.delete(frame.task_id);
  else if (frame.type === "progress" && unfinished.has(frame.task_id)) {
    const { status, speed } = frame.progress;
    Object.assign(unfinished.get(frame.task_id), { status, speed });
  } else return;
  say();
}

/** A playlist is what its items are, so only they count. */
function note(task) {
  if (data.unfinished.includes(task.status) && !task.is_playlist) {
    unfinished.set(task.id, { status: task.status, speed: task.speed });
  } else if (unfinished.delete(task.id)) askForRoom();
}

function say() {
  const all = [...unfinished.values()];
  const waiting = all.filter((task) => ["pending", "queued"].includes(task.status)).length;
  setText("active", phrase("active", { number: numberText(all.filter(isRunning).length) }));
  setText("waiting", phrase("waiting", { number: numberText(waiting) }));
  const now = speedNow();
  document.getElementById("speed").hidden = now === 0;
  if (now) setText("speed", speedText(now));
}

const isRunning = (task) => data.running.includes(task.status);
const speedText = (speed) => phrase("speed", { size: sizeText(speed) });

function speedNow() {
  return [...unfinished.values()].filter(isRunning).reduce((sum, task) => sum + task.speed, 0);
}

function setText(id, text) {
  const part = document.getElementById(id);
  if (part.textContent !== text) part.textContent = text;
}

async function askForRoom() {
  try {
    const { free_bytes, is_space_short } = await api.stats();
    room.textContent = phrase(is_space_short ? "low" : "free", { size: sizeText(free_bytes) });
    room.dataset.short = is_space_short;
  } catch {
    // the connection says that already
  }
}

/** Once a second: the chart moves on, if there was anything to show in its minutes. */
async function sample() {
  if (!isKnown) return;
  speeds.push(speedNow());
  speeds.shift();
  const most = Math.max(...speeds);
  const chart = document.getElementById("chart");
  chart.hidden = most === 0;
  if (!most || document.hidden) return;
  draw ??= (await import("./chart.js")).chartIn(chart);
  draw(speeds);
  chart.setAttribute("aria-label", phrase("chart", { now: speedText(speeds.at(-1)), most: speedText(most) }));
}

export function wireHeader() {
  setInterval(sample, 1000);
  setInterval(askForRoom, ROOM_EVERY);
}

/** The feed: a WebSocket that comes back by itself. */

import { API } from "./addresses.js";

const SILENCE = 45_000; // the service says something every 30 s; after this long the connection is dead
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/**
 * Follow the feed for as long as the page lives.
 *
 * @param {(frame: object) => void} take called with every frame
 * @param {(isConnected: boolean) => void} tell called when the connection opens and when it is lost
 */
export function follow(take, tell) {
  let socket, watchdog, retry;
  let wait = FIRST_WAIT;

  function connect() {
    clearTimeout(retry);
    socket = new WebSocket(`${location.origin.replace("http", "ws")}${API}/ws`);
    socket.onopen = () => {
      wait = FIRST_WAIT;
      tell(true);
      listen();
    };
    socket.onmessage = (message) => {
      listen();
      take(JSON.parse(message.data));
    };
    socket.onclose = lost;
  }

  function listen() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => drop(), SILENCE);
  }

  /** Closing may take minutes on a dead line, so its end is not waited for. */
  function drop() {
    socket.onclose = socket.onmessage = socket.onopen = null;
    socket.close();
    lost();
  }

  function lost() {
    clearTimeout(watchdog);
    tell(false);
    retry = setTimeout(connect, wait * (0.5 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function hurry() {
    if (socket.readyState === WebSocket.CLOSED && document.visibilityState === "visible") connect();
  }

  addEventListener("online", hurry);
  addEventListener("pageshow", hurry);
  document.addEventListener("visibilitychange", hurry);
  connect();
}

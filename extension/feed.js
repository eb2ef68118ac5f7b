/** The server's feed: a WebSocket that comes back by itself. */

import { feedAddress } from "./api.js";
import { say } from "./words.js";

const PING = 20_000; // a background worker that says nothing for 30 s is put to sleep
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/**
 * Follow the feed.
 *
 * @param {(frame: object) => void} take called with every frame
 * @param {(sentence: string) => void} tell called with what is wrong, or with "" once nothing is
 * @returns {() => void} stops it
 */
export function follow(take, tell) {
  let socket, pings, retry;
  let wait = FIRST_WAIT;
  let isOver = false;

  async function connect() {
    try {
      const address = await feedAddress();
      if (!isOver) open(address);
    } catch (problem) {
      later(problem.message);
    }
  }

  function open(address) {
    let hasHeard = true;
    socket = new WebSocket(address);
    socket.onopen = () => {
      wait = FIRST_WAIT;
      tell("");
      pings = setInterval(() => {
        if (!hasHeard) return lost();
        hasHeard = false;
        socket.send('{"type": "ping"}');
      }, PING);
    };
    socket.onmessage = (message) => {
      hasHeard = true;
      take(JSON.parse(message.data));
    };
    socket.onclose = lost;
  }

  /** Closing may take minutes on a dead line, so its end is not waited for. */
  function drop() {
    clearInterval(pings);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  function lost() {
    const { origin } = new URL(socket.url.replace(/^ws/, "http"));
    drop();
    later(say("problem_unreachable", origin));
  }

  function later(sentence) {
    if (isOver) return;
    tell(sentence);
    retry = setTimeout(connect, wait * (0.5 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  connect();
  return () => {
    isOver = true;
    clearTimeout(retry);
    drop();
  };
}

/** Makes the page live. Without it everything still works, by forms and reloading. */

import { wireActions } from "./actions.js";
import { wireForm } from "./add.js";
import { follow } from "./feed.js";
import { take, tick } from "./list.js";
import { phrase } from "./words.js";

const connection = document.getElementById("connection");

function tellConnection(isConnected) {
  connection.hidden = false;
  connection.dataset.connected = isConnected;
  connection.textContent = phrase(isConnected ? "connected" : "reconnecting");
}

wireForm();
wireActions();
follow(take, tellConnection);
setInterval(tick, 1000);

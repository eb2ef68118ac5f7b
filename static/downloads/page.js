/** Makes the pages live. Without it everything still works, by forms and reloading. */

import { wireActions } from "./actions.js";
import { wireForm } from "./add.js";
import { ROOT } from "./addresses.js";
import { wireDeletion } from "./deletion.js";
import { follow } from "./feed.js";
import { count, tellConnection, wireHeader } from "./header.js";
import { wireKeys } from "./keys.js";
import { take, tick, wireList } from "./list.js";
import { wireLook } from "./look.js";
import { wireMenus } from "./menus.js";
import { notice, wireNotifications } from "./notify.js";
import { wireSelection } from "./selection.js";
import { follows, wireTask } from "./task.js";
import { toast } from "./toasts.js";
import { localTimes, phrase } from "./words.js";

const takers = [count, take, notice, follows];

localTimes(document);
wireForm();
wireLook();
wireList();
wireTask();
wireActions();
wireDeletion();
wireSelection();
wireMenus();
wireKeys();
wireHeader();
wireNotifications();
follow((frame) => takers.forEach((taker) => taker(frame)), tellConnection);
setInterval(tick, 1000);
document.getElementById("bookmarklet")?.addEventListener("click", (event) => {
  event.preventDefault(); // it is for dragging; the policy of this page would not let it run
  toast(phrase("bookmark"));
});
navigator.serviceWorker?.register(`${ROOT}service-worker.js`).catch(() => {}); // then there are no notifications

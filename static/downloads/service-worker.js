/**
 * The installed app: what a click on a notification does. It handles no requests on purpose: Chromium drops what a page
 * sends while it is left if a service worker would have to pass that on, and deletions are sent then.
 */

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data));
});

async function show(address) {
  const [open] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!open) return self.clients.openWindow(address);
  await open.focus();
  return open.navigate(address).catch(() => self.clients.openWindow(address)); // a page from before the worker
}

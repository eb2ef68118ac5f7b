/** Menus close by themselves, and the list of shortcuts opens. */

export function wireMenus() {
  const close = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => close(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    event.stopImmediatePropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.getElementById("show-help").addEventListener("click", showHelp);
}

export function showHelp() {
  document.getElementById("help-dialog").showModal();
}

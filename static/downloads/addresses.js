/** Where the service is: this module is `static/downloads/addresses.js` under it, also under a path of a proxy. */

export const ROOT = new URL("../../", import.meta.url).pathname;
export const API = `${ROOT}api/downloads`;

export const pageOf = (taskId) => `${ROOT}tasks/${taskId}`;
export const fileOf = (taskId) => `${API}/tasks/${taskId}/file`;

/** What this browser remembers for its user. One that keeps nothing for this site throws; then it is forgotten. */

/** @returns {string|null} */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // then it is forgotten
  }
}

/** The login, kept over a reload of the page. In a browser that refuses storage it lasts until the reload. */

import type { Login } from "./api";

const KEY = "terminals.session";

export function remembered(): Login | null {
  try {
    return parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function remember(login: Login | null): void {
  try {
    if (login) localStorage.setItem(KEY, JSON.stringify(login));
    else localStorage.removeItem(KEY);
  } catch {
    // The login lasts until the page is reloaded.
  }
}

export function parse(text: string | null): Login | null {
  if (!text) return null;
  try {
    const { token, username } = JSON.parse(text) as Partial<Login>;
    return typeof token === "string" && typeof username === "string" ? { token, username } : null;
  } catch {
    return null;
  }
}

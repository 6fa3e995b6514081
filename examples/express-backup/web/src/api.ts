// The requests of the page. A refusal is an error with the server's sentence; `Unreachable` means that nothing answered.

export interface Item {
  id: string;
  name: string;
  quantity: number;
}

export interface Stock {
  revision: number;
  items: Item[];
}

export type Entry = { time: string; revision: number } & (
  | { action: "add" | "count" | "remove"; item: Item; by: string }
  | { action: "restore"; backup: string }
  | { action: "discard"; last: number }
);

export interface Backup {
  name: string;
  time: string;
}

export class Unreachable extends Error {}

async function request<T>(path: string, method = "GET", body?: object): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  let response: Response;
  try {
    response = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }), signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Unreachable("the server does not answer");
  }
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (response.ok) return answer as T;
  throw response.status >= 500 ? new Unreachable(answer.error) : new Error(answer.error);
}

export const readStock = () => request<Stock>("/api/items");
export const readChanges = () => request<Entry[]>("/api/audit");
export const readBackups = () => request<Backup[]>("/api/backups");
export const addItem = (name: string, quantity: number) => request<Item>("/api/items", "POST", { name, quantity });
export const countItem = (id: string, add: number) => request<Item>(`/api/items/${id}`, "PATCH", { add });
export const removeItem = (id: string) => request<Item>(`/api/items/${id}`, "DELETE");

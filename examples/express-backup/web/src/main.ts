// The page: what is in stock, its backups and its last changes, read again every five seconds, and every second while the server
// does not answer.
import "./style.css";

import { addItem, countItem, readBackups, readChanges, readStock, removeItem, Unreachable } from "./api";
import type { Backup, Entry, Item, Stock } from "./api";

const PERIOD = 5_000;
const RETRY = 1_000;
const SHOWN_CHANGES = 8;

function find<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

function create<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

interface Row {
  row: HTMLLIElement;
  quantity: HTMLElement;
  less: HTMLButtonElement;
}

// Rows stay as long as their items, so that a button that has the focus keeps it.
const rows = new Map<string, Row>();

function createRow(item: Item): Row {
  const row = create("li", "item");
  const button = (text: string, label: string, act: () => Promise<unknown>, className = "") => {
    const element = create("button", className, text);
    element.type = "button";
    element.setAttribute("aria-label", label);
    element.addEventListener("click", () => void perform(act));
    return element;
  };
  const less = button("−", `One less of ${item.name}`, () => countItem(item.id, -1), "step");
  const quantity = create("output", "quantity");
  const more = button("+", `One more of ${item.name}`, () => countItem(item.id, 1), "step");
  const counter = create("span", "counter");
  counter.append(less, quantity, more);
  row.append(create("span", "item-name", item.name), counter, button("Remove", `Remove ${item.name}`, () => removeItem(item.id), "remove"));
  return { row, quantity, less };
}

function showStock({ items }: Stock): void {
  const list = find("items");
  const current = new Set(items.map(({ id }) => id));
  for (const [id, { row }] of rows) {
    if (current.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  for (const item of items) {
    let row = rows.get(item.id);
    if (!row) {
      row = createRow(item);
      rows.set(item.id, row);
      list.append(row.row);
    }
    row.quantity.textContent = String(item.quantity);
    row.less.disabled = item.quantity === 0;
    row.row.classList.toggle("empty", item.quantity === 0);
  }
  find("number").textContent = String(items.length);
  find("none").hidden = items.length > 0;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(time: string): string {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  if (seconds > -60) return "just now";
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  if (seconds > -86_400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

function showBackups(backups: Backup[]): void {
  const [newest] = backups;
  find("newest").textContent = newest ? ago(newest.time) : "none yet";
  find("newest").title = newest?.name ?? "";
  find("kept").textContent = newest
    ? `${backups.length} kept, at 0, 6, 12 and 18 o'clock (UTC)`
    : "The first one is made at 0, 6, 12 or 18 o'clock (UTC)";
}

function describe(entry: Entry): string {
  switch (entry.action) {
    case "add":
      return `${entry.item.name} added: ${entry.item.quantity}`;
    case "count":
      return `${entry.item.name}: now ${entry.item.quantity}`;
    case "remove":
      return `${entry.item.name} removed`;
    case "restore":
      return "A backup was restored";
    case "discard":
      return "A change that a crash prevented was revoked";
  }
}

function showChanges(entries: Entry[]): void {
  const lines = entries.slice(0, SHOWN_CHANGES).map((entry) => {
    const line = create("li", "change");
    const time = create("time", "quiet", ago(entry.time));
    time.dateTime = entry.time;
    line.append(create("span", "", describe(entry)), time);
    return line;
  });
  find("changes").replaceChildren(...(lines.length > 0 ? lines : [create("li", "quiet", "No changes yet")]));
}

function showConnection(state: "saved" | "unreachable"): void {
  const line = find("connection");
  if (line.dataset["state"] === state) return;
  line.dataset["state"] = state;
  line.textContent = state === "saved" ? "All changes are saved" : "The server does not answer: trying again";
}

function showProblem(text: string): void {
  find("problem").textContent = text && text.charAt(0).toUpperCase() + text.slice(1);
  find("problem").hidden = !text;
}

/** Makes a change, then shows what it led to. */
async function perform(act: () => Promise<unknown>): Promise<boolean> {
  let problem = "";
  try {
    await act();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  showProblem(problem);
  await refresh();
  return !problem;
}

let timer = 0;

async function refresh(): Promise<void> {
  clearTimeout(timer);
  let next = PERIOD;
  try {
    const [stock, backups, changes] = await Promise.all([readStock(), readBackups(), readChanges()]);
    showStock(stock);
    showBackups(backups);
    showChanges(changes);
    showConnection("saved");
  } catch (error) {
    if (!(error instanceof Unreachable)) showProblem(String(error));
    showConnection("unreachable");
    next = RETRY;
  }
  clearTimeout(timer);
  timer = window.setTimeout(() => void refresh(), next);
}

const form = find<HTMLFormElement>("add");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const isAdded = await perform(() => addItem(String(fields.get("name")), Number(fields.get("quantity"))));
  if (!isAdded) return;
  form.reset();
  find("item").focus();
});

void refresh();

// Keeps the page up to date: the state by the supervisor's events, the output line by line. The page works without it.
"use strict";

const { follow, name } = document.body.dataset;
const log = document.getElementById("log");
const live = document.getElementById("live");

// --- the state of the programs -----------------------------------------------------------------------------------------

// What the server sent for a cell, which the page may show otherwise since.
const sent = new WeakMap();
// The CPU time of each run at an earlier look.
let earlier = new Map();
let looked = performance.now();
let isLooking = false;
let again = false;

function key(row) {
  return row.dataset.row;
}

function rowsOf(part) {
  return [...part.querySelectorAll("tr[data-row]")];
}

function replaceCell(old, next) {
  const html = next.outerHTML;
  if (sent.get(old) === html) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.value : null;
  const cell = document.importNode(next, true);
  sent.set(cell, html);
  old.replaceWith(cell);
  if (focused !== null) {
    const button = cell.querySelector(`button[value="${CSS.escape(focused)}"]`) ?? cell.querySelector("button");
    button?.focus();
  }
}

function replaceState(next) {
  const state = document.getElementById("state");
  const old = rowsOf(state);
  const rows = rowsOf(next);
  const isSame = old.length === rows.length && old.every((row, at) => key(row) === key(rows[at]));
  if (!isSame) {
    const fresh = document.importNode(next, true);
    state.replaceWith(fresh);
    rowsOf(fresh).forEach((row, at) => [...row.cells].forEach((cell, column) => sent.set(cell, rows[at].cells[column].outerHTML)));
    return;
  }
  old.forEach((row, at) => {
    const cells = [...rows[at].cells];
    [...row.cells].forEach((cell, column) => replaceCell(cell, cells[column]));
  });
}

// The CPU time since an earlier look, as a share of one CPU.
function showCpu(now) {
  const samples = new Map();
  for (const cell of document.querySelectorAll("td[data-cpu]")) {
    const id = key(cell.parentElement) + " " + cell.parentElement.querySelector('[data-name="PID"]').textContent;
    const used = Number(cell.dataset.cpu);
    let sample = earlier.get(id) ?? { used, at: now };
    if (now - sample.at > 500) {
      const share = Math.max(0, ((used - sample.used) / (now - sample.at)) * 100);
      sample = { used, at: now, share: `${share.toFixed(0)} %` };
    }
    samples.set(id, sample);
    if (sample.share) {
      cell.textContent = sample.share;
      cell.title = `${(used / 1000).toFixed(1)} s of CPU time`;
    }
  }
  earlier = samples;
  looked = now;
}

function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  for (const id of ["summary", "result"]) {
    const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
    if (!old || !fresh || (id === "result" && fresh.children.length === 0)) continue;
    if (old.outerHTML !== fresh.outerHTML) old.replaceWith(document.importNode(fresh, true));
  }
  if (next.getElementById("state") && document.getElementById("state")) {
    replaceState(next.getElementById("state"));
    document.title = next.title;
    showCpu(performance.now());
  }
}

async function look() {
  if (isLooking) {
    again = true;
    return;
  }
  isLooking = true;
  try {
    const answer = await fetch("./", { cache: "no-store" });
    if (answer.ok) show(await answer.text());
  } catch {
    // The connection of the events says so, and is opened again.
  }
  isLooking = false;
  if (again) {
    again = false;
    setTimeout(look, 250);
  }
}

function words(ms) {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

function tick() {
  const since = performance.now() - looked;
  for (const cell of document.querySelectorAll("td[data-uptime]")) {
    const text = words(Number(cell.dataset.uptime) + since);
    if (cell.textContent !== text) cell.textContent = text;
  }
}

// --- the output of a program -------------------------------------------------------------------------------------------

const MOST_LINES = 5000;
let continues = null;

function add({ at, of, err, more, text }) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (continues === null) {
    const line = document.createElement("div");
    if (at) {
      const time = document.createElement("time");
      time.textContent = at;
      line.append(time, " ");
    }
    if (of && of !== name && at) {
      const who = document.createElement("b");
      who.textContent = of;
      line.append(who, " ");
    }
    continues = document.createElement("span");
    if (err) continues.className = "err";
    line.append(continues);
    log.append(line);
    if (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  }
  continues.textContent += text;
  if (!more) continues = null;
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

// --- the connection ----------------------------------------------------------------------------------------------------

let wait = 1000;

function say(state, text) {
  if (live) {
    live.hidden = !log && state === "good";
    live.className = `summary ${state}`;
    live.textContent = text;
  }
  document.body.dataset.live = state;
}

function connect() {
  const source = new EventSource(follow);
  source.onopen = () => {
    wait = 1000;
    say("good", "follows");
    if (log) {
      log.replaceChildren();
      continues = null;
    } else {
      look();
    }
  };
  source.onmessage = (message) => {
    if (log) add(JSON.parse(message.data));
    else setTimeout(look, 50);
  };
  source.onerror = () => {
    say("bad", "no connection");
    // The browser tries again by itself, unless the answer was an error.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 30000);
    }
  };
}

// --- the buttons -------------------------------------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  event.preventDefault();
  if (submitter?.dataset.ask && !window.confirm(submitter.dataset.ask)) return;
  const body = new URLSearchParams(new FormData(form, submitter));
  form.setAttribute("aria-busy", "true");
  submitter?.setAttribute("disabled", "");
  try {
    const answer = await fetch(form.action, { method: "POST", body });
    const text = await answer.text();
    if (answer.ok) {
      show(text);
      if (log) log.replaceChildren();
    } else {
      window.alert(text);
    }
  } catch {
    window.alert("The order could not be sent: no connection.");
  }
  form.removeAttribute("aria-busy");
  submitter?.removeAttribute("disabled");
});

if (log) {
  log.scrollTop = log.scrollHeight;
} else {
  rowsOf(document).forEach((row) => [...row.cells].forEach((cell) => sent.set(cell, cell.outerHTML)));
  showCpu(performance.now());
  // Figures change without an event. A page that is not looked at asks for none.
  setInterval(() => document.visibilityState === "visible" && tick(), 1000);
  setInterval(() => document.visibilityState === "visible" && look(), 3000);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
}
connect();

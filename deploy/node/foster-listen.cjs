// Makes an unchanged `server.listen(3000)` take the socket that foster holds at that address, so that a restart refuses no
// connection. Loaded before the application:
//
//     [program.web]
//     command = ["node", "server.js"]
//     sockets = ["tcp://0.0.0.0:3000"]
//     environment = { NODE_OPTIONS = "--require /usr/local/lib/foster-listen.cjs" }
//
// A `listen` takes an inherited socket (LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, as from systemd) of the same port or path.
// A host has to be the same, too; without one every address of that port will do. A `listen` that finds none opens a socket of
// the application's as without this file, and says why on stderr. SIGTERM and SIGINT end what took a socket without losing a
// request: it accepts no more, answers what it has, and ends as by the signal; where the application handles the signal, that
// is left to it. docs/sockets.md has the rest.
"use strict";

const cluster = require("node:cluster");
const fs = require("node:fs");
const net = require("node:net");
const { isMainThread } = require("node:worker_threads");

const FIRST = 3;
// More than foster passes to any program.
const MOST = 1024;
// How long an idle connection is kept at the end: a request may be on its way on it.
const DRAIN_MS = 1000;
const WILDCARDS = ["0.0.0.0", "::"];
// foster's stop signal, and that of PM2's users and of a terminal.
const SIGNALS = ["SIGTERM", "SIGINT"];

const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES = "" } = process.env;
const count = /^\d+$/.test(LISTEN_FDS ?? "") ? Math.min(Number(LISTEN_FDS), MOST) : 0;
const isOurs = isMainThread && LISTEN_PID === String(process.pid);
const say = (text) => fs.writeSync(2, `foster-listen: ${text}\n`);

/** The addresses of all listening sockets, by inode: Node has no getsockname(2) for a descriptor. */
function listeners() {
  const found = new Map();
  const rows = (name) => {
    try {
      return fs.readFileSync(`/proc/self/net/${name}`, "latin1").split("\n").slice(1);
    } catch {
      return [];
    }
  };
  for (const [name, read] of [["tcp", ipv4], ["tcp6", ipv6]]) {
    for (const row of rows(name)) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
      if (state !== "0A") continue;
      const [address, port] = local.split(":");
      found.set(inode, { host: read(address), port: parseInt(port, 16) });
    }
  }
  for (const row of rows("unix")) {
    const [, , , , , , inode, path] = row.trim().split(/\s+/);
    // An abstract name has a NUL for Node where /proc shows `@`.
    if (path) found.set(inode, { path: path.replace(/^@/, "\0") });
  }
  return found;
}

/** An address of /proc/net: words of the machine, each as it is in memory. */
const bytes = (hex) => Buffer.from(new Uint32Array(hex.match(/.{8}/g).map((word) => parseInt(word, 16))).buffer);
const ipv4 = (hex) => bytes(hex).join(".");
function ipv6(hex) {
  return canonical(bytes(hex).toString("hex").match(/.{4}/g).join(":"));
}

/** One spelling for each address. */
function canonical(host) {
  if (host === "localhost") return "127.0.0.1";
  if (!net.isIPv6(host)) return host;
  return new URL(`http://[${host}]`).hostname.slice(1, -1);
}

/** The inherited sockets that no server has taken. */
function inherited() {
  const names = LISTEN_FDNAMES.split(":");
  const known = listeners();
  const sockets = [];
  for (let fd = FIRST; fd < FIRST + count; fd++) {
    let inode;
    try {
      inode = /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    } catch {
      // Not open, or no /proc: reported with the `listen` that looks for it.
    }
    const address = known.get(inode);
    if (address) sockets.push({ fd, name: names[fd - FIRST] ?? "", ...address });
  }
  return sockets;
}

const free = isOurs ? inherited() : [];
const described = (socket) =>
  `${socket.path === undefined ? `${socket.host}:${socket.port}` : socket.path.replace("\0", "@")}${socket.name && ` (${socket.name})`}`;

/** What a call of `listen` asks for, or nothing where it is not a new socket: a descriptor, a handle. */
function wanted(args) {
  const [first, second] = args;
  if (first !== null && typeof first === "object") {
    if (first.fd !== undefined || first._handle || first.handle) return undefined;
    if (first.path !== undefined && first.port === undefined) return { path: String(first.path) };
    return { port: Number(first.port ?? 0), host: first.host ?? undefined };
  }
  if (first === undefined || first === null || typeof first === "function") return { port: 0 };
  if (typeof first === "string" && !/^\d+$/.test(first)) return { path: first };
  return { port: Number(first), host: typeof second === "string" ? second : undefined };
}

const holds = (socket, asked) =>
  asked.path === undefined
    ? socket.port === asked.port && (asked.host === undefined || canonical(asked.host) === socket.host || isWildcard(asked, socket))
    : socket.path === asked.path;
/** `0.0.0.0` and `::` both mean every address. */
const isWildcard = (asked, socket) => WILDCARDS.includes(asked.host) && WILDCARDS.includes(socket.host);

/** Why a `listen` opens a new socket. */
function reason() {
  if (!isMainThread) return "it is called in a worker thread";
  if (!isOurs) {
    return `the sockets are for process ${LISTEN_PID}, and this is ${process.pid}: let foster start node itself, not through npm or a shell`;
  }
  if (free.length > 0) return `foster passes ${free.map(described).join(", ")}`;
  return served.size > 0 ? "every socket of foster's has a server" : "no descriptor of LISTEN_FDS is a listening socket";
}

const served = new Set();
const { listen } = net.Server.prototype;

net.Server.prototype.listen = function (...args) {
  // A worker of `cluster` asks its primary process, which takes the socket.
  const asked = count > 0 && !cluster.isWorker ? wanted(args) : undefined;
  // Port 0 is any free port, which no socket of foster's is.
  if (asked === undefined || asked.port === 0) return listen.apply(this, args);
  const index = free.findIndex((socket) => holds(socket, asked));
  if (index < 0) {
    const text = asked.path ?? (asked.host === undefined ? asked.port : `${asked.host}:${asked.port}`);
    say(`listen(${String(text).replace("\0", "@")}) opens a new socket: ${reason()}`);
    return listen.apply(this, args);
  }
  const [socket] = free.splice(index, 1);
  take(this);
  // What `server.address()` returns for a path.
  if (asked.path !== undefined) this._pipeName = asked.path;
  const callback = args.find((argument) => typeof argument === "function");
  return listen.call(this, { fd: socket.fd, signal: args[0]?.signal }, ...(callback ? [callback] : []));
};

/** Ends a server's requests before its process ends. */
function take(server) {
  if (served.size === 0) for (const name of SIGNALS) process.on(name, stop);
  served.add(server);
  // The answers of the last second tell the client that they are the last of their connection.
  server.prependListener("request", (_, answer) => {
    if (isStopping && !answer.headersSent) answer.setHeader("Connection", "close");
  });
}

let isStopping = false;

function stop(name) {
  // Its own handler knows better.
  if (process.listenerCount(name) > 1 || isStopping) return;
  isStopping = true;
  let left = served.size;
  const ended = () => {
    left -= 1;
    if (left > 0) return;
    for (const own of SIGNALS) process.removeListener(own, stop);
    process.kill(process.pid, name);
  };
  for (const server of served) {
    // Not the one of http, which closes idle connections at once.
    net.Server.prototype.close.call(server, ended);
    setTimeout(() => server.closeIdleConnections?.(), DRAIN_MS).unref();
  }
}

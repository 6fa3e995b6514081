// The restore drill: restores the newest backup into a new folder, starts a second server on it, reads the stock, makes a
// change, and stops it. The data and the server of the container are not touched. The task `restore-drill` of foster.toml.
//
// BACKUP_MAX_AGE (13 h: two periods of the job, and some) is the age from which on the drill fails.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import * as backups from "./backups.js";

const { BACKUP_DIR = "/app/backups", BACKUP_MAX_AGE = "13" } = process.env;

async function startServer(folder) {
  const environment = { ...process.env, PORT: "0", DATA_DIR: folder, BACKUP_DIR: join(folder, "backups") };
  const server = spawn(process.execPath, [join(import.meta.dirname, "server.js")], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(server, "exit");
  for await (const line of createInterface(server.stdout)) {
    const found = line.match(/^listening on (\S+),/);
    if (found) return { server, exit, url: `http://${found[1]}` };
  }
  throw new Error(`the server ended with ${(await exit)[0]}`);
}

async function ask(url, method = "GET", body = undefined) {
  const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.json();
}

async function serves(folder, backup) {
  const { server, exit, url } = await startServer(folder);
  try {
    await ask(`${url}/health`);
    const { items } = await ask(`${url}/api/items`);
    if (JSON.stringify(items) !== JSON.stringify(backup.stock.items)) throw new Error("the server has other items than the backup");
    if (items.length > 0) await ask(`${url}/api/items/${items[0].id}`, "DELETE");
    else await ask(`${url}/api/items`, "POST", JSON.stringify({ name: "drill", quantity: 1 }));
  } finally {
    server.kill();
  }
  const [status] = await exit;
  if (status !== 0) throw new Error(`the server ended with ${status}`);
}

const folder = await mkdtemp(join(tmpdir(), "restore-drill-"));
try {
  const began = performance.now();
  const backup = await backups.choose(BACKUP_DIR);
  const hours = (Date.now() - Date.parse(backup.time)) / 3_600_000;
  if (!(hours <= Number(BACKUP_MAX_AGE))) throw new Error(`the newest backup, ${backup.name}, is ${hours.toFixed(1)} h old`);
  await backups.restore(backup, folder);
  await serves(folder, backup);
  const took = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`restore drill passed in ${took} s: ${backup.name}, ${hours.toFixed(1)} h old, ${backup.stock.items.length} items`);
} catch (error) {
  console.error(`restore drill failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

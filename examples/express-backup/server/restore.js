// Restores the newest backup, or the one that is named, into the running container:
//
//     docker compose exec stock node restore.js [BACKUP]
//     docker compose run --rm stock node restore.js [BACKUP]         when the container does not start because of its data
//
// The backup is checked before anything is stopped. Then: stop the server, put the data in place, start it, check its health.
import { spawnSync } from "node:child_process";

import * as backups from "./backups.js";

const { PORT = "8080", DATA_DIR = "/app/data", BACKUP_DIR = "/app/backups" } = process.env;
// The exit status of foster's clients when no supervisor answers.
const NOT_RUNNING = 4;

function foster(...words) {
  const { status, error, stdout, stderr } = spawnSync("foster", words, { encoding: "utf8" });
  if (error) throw error;
  if (status !== 0 && status !== NOT_RUNNING) throw new Error(`foster ${words.join(" ")}: ${stderr || stdout}`);
  return status;
}

try {
  const backup = await backups.choose(BACKUP_DIR, process.argv[2]);
  console.log(`restore: ${backup.name} has ${backup.stock.items.length} items, revision ${backup.stock.revision}`);
  const isRunning = foster("stop", "api") !== NOT_RUNNING;
  try {
    const revision = await backups.restore(backup, DATA_DIR);
    console.log(`restore: the data are in place as revision ${revision}, the former ones in stock.json.before`);
  } finally {
    // Whether or not that worked: the data are the old ones or the new ones.
    if (isRunning) foster("start", "api");
  }
  if (isRunning) {
    const health = await (await fetch(`http://127.0.0.1:${PORT}/health`)).json();
    if (health.status !== "ok" || health.items !== backup.stock.items.length) throw new Error(`/health answers ${JSON.stringify(health)}`);
    console.log(`restore: the server is healthy with ${health.items} items`);
  }
} catch (error) {
  console.error(`cannot restore: ${error.message}`);
  process.exit(1);
}

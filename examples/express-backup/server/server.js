// The server: PORT of 127.0.0.1, DATA_DIR with the data and the audit log, BACKUP_DIR with the backups.
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";

import { createApp } from "./app.js";
import { Store } from "./store.js";

const { PORT = "8080", DATA_DIR = "/app/data", BACKUP_DIR = "/app/backups" } = process.env;

try {
  // The port comes first: a second server fails here, before it opens the data of the first one. Requests wait until the data
  // are there.
  let opened;
  const server = createServer(async (request, response) => (await opened)(request, response)).listen(Number(PORT), "127.0.0.1");
  await once(server, "listening");
  const opening = Store.open(DATA_DIR);
  opened = opening.then((store) => createApp(store, BACKUP_DIR));
  const store = await opening;
  await mkdir(BACKUP_DIR, { recursive: true });
  // Requests that were accepted are answered first.
  process.on("SIGTERM", () => server.close(() => store.close()));
  console.log(`listening on 127.0.0.1:${server.address().port}, revision ${store.stock.revision}`);
} catch (error) {
  console.error(`cannot start: ${error.message}`);
  process.exit(1);
}

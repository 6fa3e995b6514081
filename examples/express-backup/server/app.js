// The API, without a file or a port. Next: `store.js`.
import express from "express";

import * as backups from "./backups.js";
import { Refused, add, count, remove } from "./stock.js";

export function createApp(store, backupFolder) {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  // nginx of the same machine says who asks: `by` in the audit log.
  app.set("trust proxy", "loopback");
  app.use((request, response, next) => {
    response.set("Cache-Control", "no-store");
    next();
  });
  app.use(express.json({ limit: "16kb" }));

  app.get("/health", (request, response) => {
    const { items, revision } = store.stock;
    response.json({ status: store.failure ? "read-only" : "ok", items: items.length, revision, failure: store.failure });
  });

  app.get("/api/items", (request, response) => response.json(store.stock));

  app.post("/api/items", async (request, response) => {
    const { name, quantity } = bodyOf(request);
    response.status(201).json(await store.change("add", request.ip, add(name, quantity)));
  });

  app.patch("/api/items/:id", async (request, response) => {
    const { add: difference } = bodyOf(request);
    response.json(await store.change("count", request.ip, count(request.params.id, difference)));
  });

  app.delete("/api/items/:id", async (request, response) => {
    response.json(await store.change("remove", request.ip, remove(request.params.id)));
  });

  app.get("/api/audit", (request, response) => response.json(store.recent));

  app.get("/api/backups", async (request, response) => response.json(await backups.list(backupFolder)));

  app.use((request, response) => response.status(404).json({ error: `there is no \`${request.path}\`` }));

  // Express knows an error handler by its four parameters.
  app.use((error, request, response, next) => {
    const status = error instanceof Refused || error.expose ? error.status : 500;
    if (status === 500) console.error(error);
    response.status(status).json({ error: status === 500 ? "the server has failed; its log says why" : error.message });
  });
  return app;
}

function bodyOf(request) {
  // Only JSON is parsed: a form of another site cannot send it without being asked.
  if (typeof request.body !== "object") throw new Refused(415, "the body has to be an object in application/json");
  return request.body;
}

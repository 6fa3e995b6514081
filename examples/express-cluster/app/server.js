// A shop window: pages that change rarely and may be cached, and one that may not. Nothing here knows of foster.
const express = require("express");
const path = require("node:path");

const products = require("./products.json");
const { style } = require("./dist/assets.json");

const app = express();
app.set("views", path.join(__dirname, "views"));
app.set("view engine", "ejs");
app.set("view cache", true);
app.disable("x-powered-by");
app.locals.style = style;

app.use("/assets", express.static(path.join(__dirname, "dist"), { immutable: true, maxAge: "1y" }));

app.get("/health", (request, response) => response.set("Cache-Control", "no-store").json({ status: "ok" }));

app.get("/", (request, response) => response.render("home", { title: "Instruments", products }));

app.get("/products/:id", (request, response, next) => {
  const product = products.find(({ id }) => id === request.params.id);
  if (!product) return next();
  response.render("product", { title: product.name, product });
});

// Of this moment: a proxy has to ask each time.
app.get("/status", (request, response) => {
  response.set("Cache-Control", "no-store");
  const { rss } = process.memoryUsage();
  response.render("status", { title: "Status", pid: process.pid, uptime: process.uptime(), rss, version: process.version });
});

app.use((request, response) => response.status(404).render("missing", { title: "Not found" }));

const port = process.env.PORT || 3000;
app.listen(port, () => console.log(`listening on ${port}`));

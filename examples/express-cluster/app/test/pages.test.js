// What deploy.sh runs before a release becomes the current one.
const assert = require("node:assert");
const ejs = require("ejs");
const path = require("node:path");
const test = require("node:test");

const products = require("../products.json");

const render = (view, data) => ejs.renderFile(path.join(__dirname, "..", "views", `${view}.ejs`), { style: "style.css", ...data });

test("the list has every product with its price", async () => {
  const page = await render("home", { title: "Instruments", products });
  for (const { id, name, price } of products) {
    assert.match(page, new RegExp(`href="/products/${id}"`));
    assert.ok(page.includes(name) && page.includes(String(price)));
  }
});

test("text of a product is escaped", async () => {
  const product = { ...products[0], text: "<script>" };
  assert.ok(!(await render("product", { title: "x", product })).includes("<script>"));
});

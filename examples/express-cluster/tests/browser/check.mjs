// The pages in a real browser: the list, a product, the status page, a second view from the cache, stale pages while the
// application is stopped, and a layout that cuts nothing off at 1280 and 400 pixels. FOSTER is a shell command that runs
// foster's verbs beside the application.
//
//     BASE_URL=https://localhost:8443 FOSTER='docker compose exec -T shop foster' node check.mjs
//
// CHROMIUM and SCREENSHOTS: see `tests/browser/session.mjs` of the repository.
import { exec } from "node:child_process";
import { promisify } from "node:util";

import { browse, must, needed } from "../../../../tests/browser/session.mjs";

const { BASE_URL, FOSTER } = needed("BASE_URL", "FOSTER");
const shell = promisify(exec);
// Not execSync: the browser has to go on meanwhile.
const foster = (words) => shell(`${FOSTER} ${words}`);

const FROM_CACHE = ["HIT", "STALE", "UPDATING"];
// A page is stale after two seconds.
const STALE_LIMIT_MS = 20_000;
const POLL_MS = 100;
// A page from the cache does not wait for the application, for which nginx waits 10 s.
const QUICK_MS = 5_000;
// An address that was never asked for, also where the check runs twice.
const unseen = (path) => `${path}?view=${process.pid}-${Date.now()}`;

await browse({ width: 1280, height: 800 }, async ({ page, step, picture, cut, errors }) => {
  const view = async (path) => {
    const answer = await page.goto(new URL(path, BASE_URL).href);
    return { status: answer.status(), cache: (await answer.allHeaders())["x-cache"] };
  };
  const heading = (text) => page.getByRole("heading", { level: 1, name: text, exact: true }).waitFor();
  const rendered = () => page.locator("footer time").textContent();
  const columns = () =>
    page.locator(".products").evaluate((list) => getComputedStyle(list).gridTemplateColumns.split(" ").length);

  const showsHome = async () => {
    await heading("Instruments for finding your way");
    const products = page.locator("main").getByRole("listitem");
    must((await products.count()) === 6, `${await products.count()} products`);
    for (const product of await products.all()) {
      must(/^\d+ €$/.test(await product.locator(".price").textContent()), `no price: ${await product.textContent()}`);
    }
  };
  const showsProduct = async () => {
    await heading("Orrery");
    await page.getByText("Six planets, moved by one crank").waitFor();
    await page.getByText("2100 €", { exact: true }).waitFor();
  };
  const showsStatus = async () => {
    await heading("Status");
    must(/^\d+$/.test(await page.locator("#pid").textContent()), "the page does not say which process answered");
  };

  await step("lists the instruments with their prices", async () => {
    const { status } = await view("/");
    must(status === 200, `status ${status}`);
    await showsHome();
  });
  await step("goes to a product, back, and to the status page by links", async () => {
    await page.getByRole("link", { name: "Orrery" }).click();
    await showsProduct();
    await page.getByRole("link", { name: "All instruments" }).click();
    await showsHome();
    await page.getByRole("link", { name: "Status" }).click();
    await showsStatus();
    await page.getByRole("link", { name: "Fixed Stars" }).click();
    await showsHome();
  });
  await step("takes a second view from the cache", async () => {
    const path = unseen("/products/orrery");
    const first = await view(path);
    must(first.cache === "MISS", `the first view is a ${first.cache}`);
    const at = await rendered();
    const second = await view(path);
    must(FROM_CACHE.includes(second.cache), `the second view is a ${second.cache}`);
    must((await rendered()) === at, "the second view was rendered again");
    await showsProduct();
  });
  await step("never takes the status page from the cache", async () => {
    await view("/status");
    const at = await rendered();
    const { cache } = await view("/status");
    must(!FROM_CACHE.includes(cache) && (await rendered()) !== at, `the second view is a ${cache}`);
  });

  for (const [width, wanted] of [[1280, 3], [400, 1]]) {
    await step(`cuts nothing off at ${width} pixels`, async () => {
      await page.setViewportSize({ width, height: 800 });
      for (const [name, path, shown] of [["product", "/products/orrery", showsProduct], ["status", "/status", showsStatus], ["home", "/", showsHome]]) {
        await view(path);
        await shown();
        await picture(`${name}-${width}.png`);
        const lost = await cut("html, body *");
        must(lost.length === 0, `cut off in ${path}: ${lost.join(", ")}`);
      }
      must((await columns()) === wanted, `${await columns()} columns of products`);
    });
  }
  await step("keeps a word that is longer than the screen within it", async () => {
    const long = "Chronometer".repeat(8);
    await page.locator("h1, h2, .price, dd, p").evaluateAll((parts, text) => parts.forEach((part) => (part.textContent = text)), long);
    const lost = await cut("html, body *");
    await picture("long-400.png");
    must(lost.length === 0, `cut off: ${lost.join(", ")}`);
  });
  await step("has a dark form", async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: "dark" });
    await view("/");
    await picture("dark-1280.png");
    const [paper, ink] = await page.evaluate(() => {
      const style = getComputedStyle(document.body);
      return [style.backgroundColor, style.color].map((colour) => Number(colour.match(/\d+/)[0]));
    });
    must(paper < 64 && ink > 192, `paper ${paper}, ink ${ink}`);
    await page.emulateMedia({ colorScheme: "light" });
  });

  await step("serves stale pages at once while the application is stopped", async () => {
    await foster("stop web");
    const stopped = new Date().toISOString();
    let seen;
    for (const deadline = Date.now() + STALE_LIMIT_MS; !["STALE", "UPDATING"].includes(seen?.cache); ) {
      must(Date.now() < deadline, `no stale page: ${seen?.cache}`);
      seen = await view("/");
      // So that the polls stay below nginx' limit of requests.
      await page.waitForTimeout(POLL_MS);
    }
    await showsHome();
    for (const [path, shown] of [["/products/orrery", showsProduct], ["/", showsHome], ["/products/orrery", showsProduct]]) {
      const begun = performance.now();
      const { status, cache } = await view(path);
      const waited = performance.now() - begun;
      must(status === 200 && FROM_CACHE.includes(cache), `${path}: status ${status}, ${cache}`);
      must(waited < QUICK_MS, `${path}: loaded after ${Math.round(waited)} ms`);
      must((await rendered()) < stopped, `${path}: not the page of before the stop`);
      await shown();
    }
    await picture("stale.png");
  });
  await step("waits with a page that is not in the cache until the application is started", async () => {
    const [{ status, cache }] = await Promise.all([view(unseen("/products/orrery")), foster("start web")]);
    must(status === 200 && cache === "MISS", `status ${status}, ${cache}`);
    await showsProduct();
  });
  await step("logs no error to the console", async () => {
    must(errors.length === 0, errors.join("\n"));
  });
  await step("says that there is no page at another address", async () => {
    const { status } = await view("/products/astrolabe");
    must(status === 404, `status ${status}`);
    await heading("Not found");
    await picture("missing.png");
    await page.locator("main").getByRole("link", { name: "All instruments" }).click();
    await showsHome();
  });
});

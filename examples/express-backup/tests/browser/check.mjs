// The page in a real browser: items are added, counted and removed, a backup appears, the server is killed and stopped, and
// nothing is cut off at 1280 and 400 pixels. FOSTER is a shell command that runs foster's verbs beside the server.
//
//     BASE_URL=https://localhost:8443 FOSTER='docker compose exec -T stock foster' node check.mjs
//
// CHROMIUM and SCREENSHOTS: see `tests/browser/session.mjs` of the repository.
import { execSync } from "node:child_process";

import { browse, must, needed } from "../../../../tests/browser/session.mjs";

const { BASE_URL, FOSTER } = needed("BASE_URL", "FOSTER");
const foster = (words) => execSync(`${FOSTER} ${words}`, { stdio: "inherit" });

await browse({ width: 1280, height: 800 }, async ({ page, step, picture, cut }) => {
  const item = (name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) });
  const shows = (name, quantity) => item(name).getByRole("status").getByText(String(quantity), { exact: true }).waitFor();
  const connection = (text) => page.locator("#connection").getByText(text).waitFor();
  const add = async (name, quantity) => {
    await page.getByLabel("Item").fill(name);
    await page.getByLabel("Quantity").fill(String(quantity));
    await page.getByRole("button", { name: "Add", exact: true }).click();
  };

  await step("shows that nothing is in stock, and no backup", async () => {
    await page.goto(BASE_URL);
    await connection("All changes are saved");
    await page.getByText("Nothing is in stock").waitFor();
    await page.locator("#newest").getByText("none yet").waitFor();
  });
  await step("adds items", async () => {
    for (const [name, quantity] of [["Wood screws 4 × 40", 250], ["Paint, signal white", 3], ["Sandpaper 120", 0], ["Hinges", 12]]) {
      await add(name, quantity);
      await shows(name, quantity);
    }
    must((await page.getByLabel("Item").inputValue()) === "", "the form was not emptied");
  });
  await step("refuses an item twice, with the reason", async () => {
    await add("hinges", 1);
    await page.getByRole("alert").getByText("Cannot add `hinges`: it is in stock already").waitFor();
    await page.getByLabel("Item").fill("");
  });
  await step("counts, and not below 0", async () => {
    await item("Hinges").getByRole("button", { name: "One more of Hinges" }).click();
    await shows("Hinges", 13);
    await page.getByRole("alert").waitFor({ state: "hidden" });
    must(await item("Sandpaper 120").getByRole("button", { name: "One less" }).isDisabled(), "an item can be counted below 0");
  });
  await step("removes an item", async () => {
    await page.getByRole("button", { name: "Remove Paint, signal white" }).click();
    await item("Paint, signal white").first().waitFor({ state: "detached" });
    await page.getByText("Paint, signal white removed").waitFor();
  });
  await step("shows a backup after the job has run", async () => {
    foster("run-job backup");
    await page.locator("#newest").getByText("just now").waitFor();
    await page.getByText("1 kept").waitFor();
  });
  await step("keeps every answered change when the server is killed", async () => {
    await add("Written before the crash", 7);
    await shows("Written before the crash", 7);
    foster("signal KILL api");
    await page.reload();
    await connection("All changes are saved");
    await shows("Written before the crash", 7);
    await shows("Hinges", 13);
  });
  await step("says that the server does not answer while it is stopped, and recovers by itself", async () => {
    foster("stop api");
    await connection("The server does not answer: trying again");
    await picture("stopped.png");
    foster("start api");
    await connection("All changes are saved");
  });
  const everything = "h1, h2, p, label, button, li, li span, time, input";
  await step("cuts nothing off at 1280 pixels", async () => {
    const longest = "A name of eighty characters is longer than that of any item of a stock room here";
    await add(longest, 1_000_000);
    await shows(longest, 1_000_000);
    await page.getByText(`${longest} added`).waitFor();
    const lost = await cut(everything);
    await picture("1280.png");
    must(lost.length === 0, `cut off: ${lost.join(", ")}`);
  });
  await step("cuts nothing off at 400 pixels", async () => {
    await page.setViewportSize({ width: 400, height: 800 });
    const lost = await cut(everything);
    await picture("400.png");
    await page.locator("#changes").scrollIntoViewIfNeeded();
    await picture("400-below.png");
    must(lost.length === 0, `cut off: ${lost.join(", ")}`);
  });
});

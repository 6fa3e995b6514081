// The page of `[web]` in a real Chromium: with JavaScript and without, wide and narrow.
//
// BASE_URL is the server, FOSTER a command line of the client. The programs are those of `tests/web/browser.rs`. Nothing here
// sleeps: every wait is for a condition and has a limit. Next: `tests/browser/session.mjs`.
import { execFileSync } from "node:child_process";

import { browse, must, needed } from "../browser/session.mjs";

const { BASE_URL, FOSTER } = needed("BASE_URL", "FOSTER");

function foster(...words) {
  execFileSync(FOSTER, words, { stdio: "ignore" });
}

const row = (page, name) => page.locator(`tr[data-row="${name}"]`);
const isInState = (page, name, state) => row(page, name).locator(".state span", { hasText: state }).waitFor();

/** Nothing reaches beyond the window, and every part that a person uses has a name. */
async function fits(page, cut) {
  const reach = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  must(reach[0] <= reach[1], `the page is ${reach[0]} px wide in a window of ${reach[1]}`);
  const beyond = await cut("h1, button, .button, .name a, .summary, .note, .figure");
  must(beyond.length === 0, `cut off: ${beyond.join(" | ")}`);
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("a, button, pre, table")]
      .filter((part) => !(part.getAttribute("aria-label") || part.caption?.textContent || part.textContent).trim())
      .map((part) => part.outerHTML),
  );
  must(nameless.length === 0, `without a name: ${nameless.join(" | ")}`);
}

for (const width of [1280, 400]) {
  await browse({ width, height: 800 }, async ({ page, step, picture, cut }) => {
    page.on("dialog", (dialog) => dialog.accept());
    const name = (what) => `${width} px, with JavaScript: ${what}`;

    await step(name("shows every program, and fits"), async () => {
      await page.goto(BASE_URL);
      await isInState(page, "backend", "running");
      await isInState(page, "broken", "fatal");
      await page.waitForFunction(() => document.body.dataset.live === "good");
      must((await page.getByRole("columnheader").count()) >= 9, "no headings of columns");
      must((await page.getByRole("rowheader", { name: "backend" }).count()) === 1, "no heading of a row");
      await fits(page, cut);
      await picture(`web-${width}.png`);
    });

    await step(name("is dark where that is preferred"), async () => {
      const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await colour();
      await page.emulateMedia({ colorScheme: "dark" });
      must((await colour()) !== light, "it has the same colour");
      await picture(`web-${width}-dark.png`);
      await page.emulateMedia({ colorScheme: "light" });
    });

    await step(name("follows what an operator does elsewhere, without being loaded again"), async () => {
      await page.evaluate(() => {
        window.isSamePage = true;
      });
      foster("stop", "worker");
      await isInState(page, "worker", "stopped");
      foster("start", "worker");
      await isInState(page, "worker", "running");
    });

    await step(name("stops and starts a program by its buttons, and shows the result"), async () => {
      await row(page, "backend").getByRole("button", { name: "Stop backend" }).click();
      await page.locator(".result.good", { hasText: "stop backend done" }).waitFor();
      await isInState(page, "backend", "stopped");
      await row(page, "backend").getByRole("button", { name: "Start backend" }).click();
      await page.locator(".result.good", { hasText: "start backend done" }).waitFor();
      await isInState(page, "backend", "running");
      await row(page, "broken").getByRole("button", { name: "Start broken" }).click();
      await page.locator(".result.bad", { hasText: "start broken failed" }).waitFor();
      must(await page.evaluate(() => window.isSamePage), "the page was loaded again");
      await fits(page, cut);
      await picture(`web-${width}-result.png`);
    });

    await step(name("works by the keyboard alone, and shows where it is"), async () => {
      const button = row(page, "worker").getByRole("button", { name: "Restart worker" });
      await page.keyboard.press("Tab");
      await button.focus();
      const outline = await button.evaluate((part) => getComputedStyle(part).outlineStyle);
      await page.keyboard.press("Enter");
      await page.locator(".result.good", { hasText: "restart worker done" }).waitFor();
      must(outline !== "none", "the focus is not shown");
    });

    await step(name("follows the output of a program, and clears it"), async () => {
      await page.getByRole("link", { name: "ticker", exact: true }).click();
      const last = async () => Number((await page.locator("#log").textContent()).match(/tick (\d+)\s*$/)?.[1] ?? 0);
      await page.locator("#log div", { hasText: "tick" }).first().waitFor();
      const before = await last();
      await page.waitForFunction(
        (number) => Number(document.getElementById("log").textContent.match(/tick (\d+)\s*$/)?.[1] ?? 0) > number + 2,
        before,
      );
      must((await page.locator("#log script").count()) === 0, "the output is markup");
      await fits(page, cut);
      await picture(`web-${width}-log.png`);
      await page.getByRole("button", { name: "Clear log" }).click();
      await page.locator(".result.good", { hasText: "clear ticker done" }).waitFor();
      must(!(await page.locator("#log").textContent()).includes("<script>"), "the first line is still there");
    });
  });

  await browse(
    { width, height: 800 },
    async ({ page, step, picture, cut }) => {
      const name = (what) => `${width} px, without JavaScript: ${what}`;

      await step(name("shows every program, and gives orders"), async () => {
        await page.goto(BASE_URL);
        await isInState(page, "backend", "running");
        await fits(page, cut);
        await row(page, "backend").getByRole("button", { name: "Restart backend" }).click();
        await page.locator(".result.good", { hasText: "restart backend done" }).waitFor();
        must(/\?result=\d+$/.test(page.url()), page.url());
        await picture(`web-${width}-plain.png`);
      });

      await step(name("shows the output as it is, and links to one that follows"), async () => {
        await page.getByRole("link", { name: "ticker", exact: true }).click();
        must((await page.locator("#log").textContent()).includes("tick"), "no output");
        must((await page.getByRole("link", { name: "Plain text that follows" }).count()) === 1, "no link");
        await fits(page, cut);
        await page.getByRole("link", { name: "All programs" }).click();
        await isInState(page, "backend", "running");
      });
    },
    undefined,
    { javaScriptEnabled: false },
  );
}

// A page of an example in a real Chromium: steps with names, screenshots, and a layout that cuts nothing off.
//
// CHROMIUM (/usr/bin/chromium) is the browser; SCREENSHOTS a folder for screenshots. Nothing here sleeps: every wait is for a
// condition and has a limit. Next: `check.mjs` of an example.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const { SCREENSHOTS, CHROMIUM = "/usr/bin/chromium" } = process.env;

/** The variables of the environment that a check needs. */
export function needed(...names) {
  const missing = names.filter((name) => !process.env[name]);
  if (missing.length > 0) {
    console.error(`cannot run: ${missing.join(" and ")} not set`);
    process.exit(2);
  }
  return process.env;
}

export function must(holds, words) {
  if (!holds) throw new Error(words);
}

/**
 * Opens a browser, runs `check` with its `page`, `step`, `picture`, `cut` and `errors`, and closes it. The process exits with 0 if
 * every step passes, else it names the step that failed, with what `describe` returns. `options` are those of playwright for its context.
 */
export async function browse(viewport, check, describe = async () => "", options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "browser-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    viewport,
    ignoreHTTPSErrors: true,
    ...options,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  browser.setDefaultTimeout(15_000);
  const page = browser.pages()[0] ?? (await browser.newPage());
  const violations = [];
  // All errors of the console: that of an answer such as 404 or 503 is one, so that a check that provokes these does not compare them.
  const errors = [];
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
    if (message.text().includes("Content Security Policy")) violations.push(message.text());
  });
  page.on("pageerror", (error) => violations.push(String(error)));

  const picture = async (file) => {
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, file) });
  };
  const step = async (words, act) => {
    const begun = performance.now();
    try {
      await act();
    } catch (error) {
      console.error(`FAILED: ${words}\n${error}\n${await describe(page)}`);
      await picture("failed.png");
      process.exitCode = 1;
      throw error;
    }
    console.log(`ok ${String(Math.round(performance.now() - begun)).padStart(6)} ms  ${words}`);
  };
  /** The texts of the elements that reach beyond the window, or whose text does not fit into them. */
  const cut = (selector) =>
    page.evaluate(
      (wanted) =>
        [...document.querySelectorAll(wanted)]
          .filter((part) => {
            const box = part.getBoundingClientRect();
            return box.right > innerWidth || box.left < 0 || part.scrollWidth > part.clientWidth + 1;
          })
          .map((part) => part.textContent || part.outerHTML),
      selector,
    );

  try {
    await check({ page, step, picture, cut, errors });
    await step("violates no rule of its Content-Security-Policy and throws no error", async () => {
      must(violations.length === 0, violations.join("\n"));
    });
  } catch (error) {
    if (!process.exitCode) throw error;
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

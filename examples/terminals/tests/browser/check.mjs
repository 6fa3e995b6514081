// The page in a real browser: register, log in, two terminals, a resize, a killed backend, the reconnection, and the
// layout at 1280 and 400 pixels. Exits with 0 if every step passes, else names the step that failed.
//
//     BASE_URL=http://127.0.0.1:8080 KILL_BACKEND='docker exec app foster signal KILL backend' node check.mjs
//
// CHROMIUM and SCREENSHOTS: see `tests/browser/session.mjs` of the repository.
import { execSync } from "node:child_process";

import { browse, must, needed } from "../../../../tests/browser/session.mjs";

const { BASE_URL, KILL_BACKEND } = needed("BASE_URL", "KILL_BACKEND");

const name = `browser-${process.pid}-${Date.now() % 100000}`;
const password = "correct horse battery staple";

let page;

const at = (id) => page.getByTestId(id);
const line = (state) => page.locator(`[data-testid=line][data-line=${state}]`).waitFor();
const paneIs = (number, state) => page.locator(`[data-testid=pane-${number}][data-state=${state}]`).waitFor();

/** What is on the screen of a terminal: its rows, joined where the terminal broke a line. */
const rows = (number) =>
  page.locator(`[data-testid=screen-${number}] .xterm-rows > div`).evaluateAll((all) => all.map((row) => row.textContent));

async function type(number, command) {
  await at(`screen-${number}`).click();
  await page.keyboard.type(`${command}\n`);
}

/** Waits until a row is exactly this: the command's own echo is a longer one. */
async function shows(number, text) {
  await page.waitForFunction(
    ([pane, wanted]) =>
      [...document.querySelectorAll(`[data-testid=screen-${pane}] .xterm-rows > div`)].some(
        (row) => row.textContent.replaceAll("\u00a0", " ").trimEnd() === wanted,
      ),
    [number, text],
  );
}

async function fill(mode) {
  await at(`mode-${mode}`).click();
  await at("username").fill(name);
  await at("password").fill(password);
  await at("submit").click();
}

async function open(number) {
  await at(`new-${number}`).click();
  await paneIs(number, "open");
  // Input before the prompt could be lost: until then the shell still sets its terminal up.
  await page.waitForFunction(
    (pane) =>
      [...document.querySelectorAll(`[data-testid=screen-${pane}] .xterm-rows > div`)].some((row) =>
        row.textContent.replaceAll("\u00a0", " ").trimEnd().endsWith("$"),
      ),
    number,
  );
}

/** The size that the shell sees is the one that the page shows. */
async function agreesOnSize(number) {
  const [columns, lines] = (await at(`size-${number}`).textContent()).split(" × ");
  await type(number, "clear; stty size");
  await shows(number, `${lines} ${columns}`);
  return `${columns}x${lines}`;
}

const token = () =>
  page.evaluate(() => JSON.parse(localStorage.getItem("terminals.session") ?? "null")?.token ?? null);

async function check({ page: opened, step, picture, cut }) {
  page = opened;
  await step("registers and is connected", async () => {
    await page.goto(BASE_URL);
    await fill("register");
    await line("connected");
    must((await at("who").textContent()) === name, "the page does not show who is logged in");
  });
  await step("logs out, learns that the name is taken, and logs in; the old notice is gone", async () => {
    await at("log-out").click();
    await at("entry").waitFor();
    await fill("register");
    await at("error").getByText("is taken").waitFor();
    must((await at("notice").count()) === 0, "the notice of the logout still stands above the error");
    must(!(await at("error").textContent()).includes("`"), "a sentence for people has backticks");
    await picture("entry.png");
    await fill("log-in");
    await line("connected");
  });
  await step("opens two terminals and gets an echo from each", async () => {
    await open(1);
    await open(2);
    await type(1, "echo left-$((20 + 3))");
    await type(2, "echo right-$((30 + 4)) äöü✓");
    await shows(1, "left-23");
    await shows(2, "right-34 äöü✓");
    must(!(await rows(1)).some((row) => row.includes("right-34")), "one terminal shows the other's output");
  });
  await step("has the tools that people type first: ps and less", async () => {
    await type(1, "clear; ps -o comm= -p 1; less --version | head -n 1 | cut -c 1-4");
    await shows(1, "foster");
    await shows(1, "less");
  });
  await step("names its buttons by what they do", async () => {
    must((await at("resize-1").textContent()).trim() === "Refit", "the button that sends the size again is not `Refit`");
    must((await page.getByText("Screen reader support").count()) === 1, "no `Screen reader support`");
  });
  await step("resizes, and the shell sees the size that the page shows", async () => {
    const before = await agreesOnSize(1);
    await page.setViewportSize({ width: 1000, height: 700 });
    await at("resize-1").click();
    const after = await agreesOnSize(1);
    must(before !== after, `the size stayed ${before}`);
    await page.setViewportSize({ width: 1440, height: 820 });
    await at("resize-1").click();
    must((await agreesOnSize(1)) === before, "the size did not come back");
  });
  await step("shows programs with colours side by side", async () => {
    await type(1, "clear; ls --color -lA /usr/lib | head -n 24");
    await type(2, "clear; id; uname -srm; for n in 1 2 3 4 5 6; do printf '\\e[3%dm██████ colour %d\\e[0m\\n' $n $n; done");
    await page.waitForFunction(() => document.querySelector("[data-testid=screen-2]").textContent.includes("colour 6"));
    await page.waitForFunction(() => document.querySelector("[data-testid=screen-1]").textContent.includes("total"));
    await picture("terminals.png");
  });
  await step("has 80 columns in both terminals at 1280 pixels", async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    for (const number of [1, 2]) {
      await at(`resize-${number}`).click();
      const columns = Number((await at(`size-${number}`).textContent()).split(" × ")[0]);
      must(columns >= 80, `terminal ${number} has ${columns} columns`);
    }
    await picture("1280.png");
  });
  await step("cuts nothing off at 400 pixels", async () => {
    await page.setViewportSize({ width: 400, height: 800 });
    await at("resize-1").click();
    const lost = await cut("header button, header p, header span, header label");
    await picture("400.png");
    must(lost.length === 0, `cut off: ${lost.join(", ")}`);
    await page.setViewportSize({ width: 1440, height: 820 });
  });
  await step("closes one terminal, the other stays", async () => {
    await at("close-2").click();
    await paneIs(2, "ended");
    await type(1, "echo still-$((1 + 1))");
    await shows(1, "still-2");
    await open(2);
  });
  await step("shows that it is disconnected when the backend is killed", async () => {
    execSync(KILL_BACKEND, { stdio: "inherit" });
    await line("disconnected");
    await paneIs(1, "ended");
    await paneIs(2, "ended");
  });
  await step("reconnects by itself and shows it", async () => {
    await line("reconnected");
    await at("banner").getByText("Reconnected").waitFor();
    await picture("reconnected.png");
  });
  await step("opens new terminals that work", async () => {
    await open(1);
    await open(2);
    await type(1, "echo again-$((40 + 2))");
    await shows(1, "again-42");
    await type(2, "echo also-$((50 + 2))");
    await shows(2, "also-52");
  });
  await step("is still logged in after a reload of the page", async () => {
    await page.reload();
    await line("connected");
    must((await at("who").textContent()) === name, "another user is logged in");
  });
  await step("logs out, and the token is no longer valid", async () => {
    const statusOf = (known) =>
      page.evaluate((it) => fetch("/api/me", { headers: { Authorization: `Bearer ${it}` } }).then((r) => r.status), known);
    const known = await token();
    must((await statusOf(known)) === 200, "the token was not valid before the logout");
    await at("log-out").click();
    await at("entry").waitFor();
    must((await token()) === null, "the token is still in the browser");
    await page.waitForFunction(
      (it) => fetch("/api/me", { headers: { Authorization: `Bearer ${it}` } }).then((r) => r.status === 401),
      known,
    );
  });
}

async function screens() {
  const texts = [1, 2].map(async (pane) => `terminal ${pane}:\n${(await rows(pane).catch(() => [])).join("\n").trimEnd()}`);
  return (await Promise.all(texts)).join("\n");
}

await browse({ width: 1440, height: 820 }, check, screens);

import assert from "node:assert";
import { spawnSync } from "node:child_process";
import * as disk from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";

import { Store, pathIn } from "../store.js";
import { add, count, remove } from "../stock.js";
import { folderOf } from "./folder.js";

async function opened(t, folder, fs) {
  const store = await Store.open(folder, fs);
  t.after(() => store.close().catch(() => {}));
  return store;
}

const audit = async (folder) => (await disk.readFile(join(folder, "audit.log"), "utf8")).split("\n").filter(Boolean).map(JSON.parse);

/** What the audit log says the items are. */
function replay(entries) {
  const kept = [];
  for (const entry of entries) {
    if (entry.action !== "discard") kept.push(entry);
    else while (kept.at(-1)?.revision > entry.revision) kept.pop();
  }
  return kept.map((entry) => entry.item.name);
}

test("a crash at any call of the file system loses nothing that was answered, and no half of a change is seen", async (t) => {
  let number = 0;
  for (let isOver = false; !isOver; ) {
    number += 1;
    const folder = await folderOf(t);
    const script = join(import.meta.dirname, "crashing.js");
    const { stdout, signal, stderr } = spawnSync(process.execPath, [script, folder, String(number)], { encoding: "utf8" });
    const answered = stdout.split("\n").filter(Boolean);
    isOver = answered.at(-1) === "done";
    assert.equal(signal, isOver ? null : "SIGKILL", stderr);
    const store = await opened(t, folder);
    const names = store.stock.items.map(({ name }) => name);
    for (const name of answered.filter((each) => each !== "done")) assert.ok(names.includes(name), `call ${number}: ${name} is lost`);
    // The second change begins a write, and the two that arrive during it share the next one: both are there, or neither is.
    assert.ok([0, 1, 2, 4, 5].includes(names.length), `call ${number}: ${names}`);
    assert.deepEqual(replay(await audit(folder)), names, `call ${number}`);
    // It can be written to again.
    await store.change("add", "test", add("after", 1));
    assert.deepEqual(replay(await audit(folder)), [...names, "after"]);
  }
  // An open, two reads, eleven calls for each of three writes, …: a test that counted none would prove nothing.
  assert.ok(number > 40, `only ${number} calls`);
});

test("changes that arrive together share a write, and each has a revision and a line in the audit log", async (t) => {
  const folder = await folderOf(t);
  let writes = 0;
  const store = await opened(t, folder, { ...disk, rename: (...words) => (writes += 1, disk.rename(...words)) });
  const names = Array.from({ length: 100 }, (_, number) => `item ${number}`);
  await Promise.all(names.map((name) => store.change("add", "test", add(name, 1))));
  assert.equal(store.stock.revision, 100);
  assert.ok(writes <= 3, `${writes} writes`);
  assert.deepEqual((await audit(folder)).map(({ item }) => item.name), names);
});

test("a full disk refuses the change, and nothing of it is left", async (t) => {
  const folder = await folderOf(t);
  let isFull = false;
  const open = async (path, ...words) => {
    const file = await disk.open(path, ...words);
    const appendFile = file.appendFile.bind(file);
    file.appendFile = async (text) => {
      if (!isFull) return appendFile(text);
      await appendFile(text.slice(0, 10));
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    };
    return file;
  };
  const store = await opened(t, folder, { ...disk, open });
  await store.change("add", "test", add("first", 1));
  isFull = true;
  await assert.rejects(store.change("add", "test", add("second", 1)), { status: 503, message: /ENOSPC/ });
  assert.match(store.failure, /ENOSPC/);
  assert.deepEqual((await disk.readdir(folder)).sort(), ["audit.log", "stock.json"]);
  isFull = false;
  await store.change("add", "test", add("third", 1));
  assert.equal(store.failure, null);
  assert.deepEqual(replay(await audit(folder)), ["first", "third"]);
});

test("an empty stock never takes the place of a lost or damaged one", async (t) => {
  const folder = await folderOf(t);
  const store = await Store.open(folder);
  await store.change("add", "test", add("first", 1));
  await store.close();
  await disk.truncate(pathIn(folder), 20);
  await assert.rejects(Store.open(folder), /stock\.json` is damaged/);
  await disk.rm(pathIn(folder));
  await assert.rejects(Store.open(folder), /is missing, and audit.log has revision 1: restore a backup/);
});

test("the rules refuse what makes no sense, with the reason", async (t) => {
  const store = await opened(t, await folderOf(t));
  const change = (apply) => store.change("test", "test", apply);
  const { id } = await change(add("  Screws ", 5));
  assert.deepEqual(store.stock.items, [{ id, name: "Screws", quantity: 5 }]);
  for (const [apply, status, message] of [
    [add("", 1), 400, /1 to 80 characters/],
    [add("a\nb", 1), 400, /1 to 80 characters/],
    [add(7, 1), 400, /1 to 80 characters/],
    [add("Nails", -1), 400, /whole number from 0/],
    [add("Nails", "1"), 400, /whole number from 0/],
    [add("screws", 1), 409, /in stock already/],
    [count(id, -6), 409, /to -1/],
    [count(id, 0.5), 400, /whole number/],
    [count("99", 1), 404, /no item `99`/],
    [remove("99"), 404, /no item `99`/],
  ]) {
    await assert.rejects(change(apply), { status, message });
  }
  await Promise.all([change(count(id, -2)), change(count(id, 4))]);
  assert.equal(store.stock.items[0].quantity, 7);
  await change(remove(id));
  assert.deepEqual(store.stock.items, []);
});

test("the audit log keeps its last entries for the page, also over a start", async (t) => {
  const folder = await folderOf(t);
  const store = await Store.open(folder);
  const { id } = await store.change("add", "test", add("Screws", 0));
  for (let number = 0; number < 60; number++) await store.change("count", "test", count(id, 1));
  const before = store.recent;
  await store.close();
  assert.equal(before.length, 50);
  assert.equal(before[0].item.quantity, 60);
  assert.deepEqual((await opened(t, folder)).recent, before);
});

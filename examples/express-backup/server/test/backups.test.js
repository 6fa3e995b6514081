import assert from "node:assert";
import { spawnSync } from "node:child_process";
import * as disk from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";

import * as backups from "../backups.js";
import { add } from "../stock.js";
import { Store, pathIn } from "../store.js";
import { folderOf } from "./folder.js";

/** A folder of data with these items, and one for backups. */
async function filled(t, ...names) {
  const [data, folder] = [await folderOf(t), await folderOf(t)];
  await put(data, ...names);
  return { data, folder };
}

async function put(data, ...names) {
  const store = await Store.open(data);
  for (const name of names) await store.change("add", "test", add(name, 1));
  await store.close();
}

async function names(data) {
  const store = await Store.open(data);
  await store.close();
  return store.stock.items.map(({ name }) => name);
}

const script = (name, environment, ...words) =>
  spawnSync(process.execPath, [join(import.meta.dirname, "..", name), ...words], { encoding: "utf8", env: { ...process.env, ...environment } });

test("a backup is the file, compressed, and the newest ones stay", async (t) => {
  const { data, folder } = await filled(t, "Screws");
  for (let day = 1; day <= 5; day++) await backups.make(data, folder, 3, new Date(Date.UTC(2026, 0, day)));
  const all = await backups.list(folder);
  assert.deepEqual(all.map(({ time }) => time.slice(0, 10)), ["2026-01-05", "2026-01-04", "2026-01-03"]);
  assert.deepEqual((await disk.readdir(folder)).sort(), all.map(({ name }) => name).sort());
  const text = gunzipSync(await disk.readFile(join(folder, all[0].name))).toString();
  assert.equal(text, await disk.readFile(pathIn(data), "utf8"));
});

test("damaged data make no backup and remove none", async (t) => {
  const { data, folder } = await filled(t, "Screws");
  await backups.make(data, folder, 1);
  const before = await disk.readdir(folder);
  await disk.truncate(pathIn(data), 30);
  const failed = script("backup.js", { DATA_DIR: data, BACKUP_DIR: folder, BACKUP_KEEP: "1" });
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /^cannot make a backup: `.*stock\.json` is damaged/);
  assert.deepEqual(await disk.readdir(folder), before);
});

test("a restore puts the data of the backup in place, as a new revision in the audit log, and keeps the former ones", async (t) => {
  const { data, folder } = await filled(t, "Screws", "Nails");
  await backups.make(data, folder, 3);
  await put(data, "Glue");
  assert.equal(await backups.restore(await backups.choose(folder), data), 4);
  assert.deepEqual(await names(data), ["Screws", "Nails"]);
  const store = await Store.open(data);
  assert.deepEqual([store.recent[0].action, store.recent[0].revision], ["restore", 4]);
  await store.close();
  assert.match(await disk.readFile(`${pathIn(data)}.before`, "utf8"), /Glue/);
});

test("a restore needs no data, and works where they are damaged", async (t) => {
  const { data, folder } = await filled(t, "Screws");
  await backups.make(data, folder, 3);
  for (const damage of [() => disk.rm(pathIn(data)), () => disk.truncate(pathIn(data), 10)]) {
    await damage();
    await assert.rejects(Store.open(data));
    await backups.restore(await backups.choose(folder), data);
    assert.deepEqual(await names(data), ["Screws"]);
  }
});

test("the drill serves the newest backup, and leaves data and backups alone", async (t) => {
  const { data, folder } = await filled(t, "Screws", "Nails");
  await backups.make(data, folder, 3);
  const before = [await disk.readFile(pathIn(data), "utf8"), await disk.readdir(folder)];
  const drill = script("drill.js", { BACKUP_DIR: folder, DATA_DIR: data });
  assert.equal(drill.status, 0, drill.stderr);
  assert.match(drill.stdout, /^restore drill passed in [\d.]+ s: stock-.*, 0\.0 h old, 2 items$/m);
  assert.deepEqual([await disk.readFile(pathIn(data), "utf8"), await disk.readdir(folder)], before);
});

test("the drill fails without a backup, with an old one, and with a damaged one", async (t) => {
  const { data, folder } = await filled(t, "Screws");
  const fails = (reason) => {
    const drill = script("drill.js", { BACKUP_DIR: folder });
    assert.equal(drill.status, 1, drill.stdout);
    assert.match(drill.stderr, reason);
  };
  fails(/there is no backup/);
  await backups.make(data, folder, 3, new Date(Date.now() - 14 * 3_600_000));
  fails(/is 14\.0 h old/);
  const { name } = await backups.make(data, folder, 3);
  await disk.truncate(join(folder, name), 60);
  fails(/is damaged/);
});

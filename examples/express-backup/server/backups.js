// Backups: compressed copies of the data file, which can also be restored by hand (`gunzip`). The file is replaced by rename(2)
// alone, so a process that opens it has one whole revision, and the server is neither asked nor stopped.
import { link, mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";

import { Audit } from "./audit.js";
import { moveInto, writeSynced } from "./files.js";
import { parse, print } from "./stock.js";
import { pathIn } from "./store.js";

const NAME = /^stock-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z\.json\.gz$/;

/** The backups, the newest first: names and times. */
export async function list(folder) {
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).sort().reverse();
  return names.map((name) => ({ name, time: name.replace(NAME, "$1-$2-$3T$4:$5:$6Z") }));
}

/** Makes a backup, reads it again, and only then removes all but the newest `keep`. */
export async function make(data, folder, keep, now = new Date()) {
  const stock = await readStock(data);
  await mkdir(folder, { recursive: true });
  const name = `stock-${now.toISOString().replaceAll(/[-:]/g, "")}.json.gz`;
  const path = join(folder, name);
  const temporary = join(folder, "stock.new");
  await writeSynced(temporary, await promisify(gzip)(print(stock)));
  const written = await read(temporary);
  if (print(written) !== print(stock)) throw new Error(`cannot use \`${temporary}\`: it differs from what was written`);
  await moveInto(temporary, path);
  const old = (await list(folder)).slice(keep);
  for (const { name } of old) await rm(join(folder, name));
  return { name, stock, removed: old.length };
}

async function readStock(data) {
  return parse(await readFile(pathIn(data), "utf8"), pathIn(data));
}

/** Reads a backup; gzip's checksum and the form of the stock are checked. */
export async function read(path) {
  const packed = await readFile(path);
  let text;
  try {
    text = (await promisify(gunzip)(packed)).toString();
  } catch (error) {
    throw new Error(`\`${path}\` is damaged: ${error.message}`);
  }
  return parse(text, path);
}

/** The backup of this name, or the newest one. */
export async function choose(folder, name) {
  const all = await list(folder);
  const chosen = name ? all.find((each) => each.name === name) : all[0];
  if (!chosen) throw new Error(name ? `there is no backup \`${name}\` in \`${folder}\`` : `there is no backup in \`${folder}\``);
  return { ...chosen, stock: await read(join(folder, chosen.name)) };
}

/** Puts a backup in the place of the data, which no server may have open. The former file is kept as `stock.json.before`. */
export async function restore(backup, data) {
  const path = pathIn(data);
  const audit = await Audit.open(data);
  const revision = Math.max(audit.revision, backup.stock.revision) + 1;
  await rm(`${path}.before`, { force: true });
  await link(path, `${path}.before`).catch((error) => {
    if (error.code !== "ENOENT") throw error;
  });
  await writeSynced(`${path}.new`, print({ ...backup.stock, revision }));
  await audit.append([{ time: new Date().toISOString(), revision, action: "restore", backup: backup.name }]);
  await moveInto(`${path}.new`, path);
  await audit.close();
  return revision;
}

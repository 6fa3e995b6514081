// The stock in a file, changed so that a crash at any moment loses nothing that was answered, and no half of a change is seen:
//
//   1. the new text goes to `stock.json.new`, and to the disk
//   2. the audit log gets its lines, and they go to the disk
//   3. `stock.json.new` is renamed to `stock.json`, and the folder goes to the disk
//   4. the requests are answered
//
// Requests that arrive during a write share the next one, so that 100 clients do not wait for 100 writes. Only one process may
// have the folder open. Next: `audit.js`, `backups.js`.
import * as disk from "node:fs/promises";
import { join } from "node:path";

import { Audit } from "./audit.js";
import { moveInto, writeSynced } from "./files.js";
import { EMPTY, Refused, parse, print } from "./stock.js";

export const pathIn = (folder) => join(folder, "stock.json");

export class Store {
  #fs;
  #path;
  #stock;
  #audit;
  #waiting = [];
  #writing = Promise.resolve();
  #isWriting = false;
  /** Why the last write failed, or null. */
  failure = null;

  constructor(fs, path, stock, audit) {
    this.#fs = fs;
    this.#path = path;
    this.#stock = stock;
    this.#audit = audit;
  }

  static async open(folder, fs = disk) {
    const audit = await Audit.open(folder, fs);
    try {
      return new Store(fs, pathIn(folder), await Store.#read(pathIn(folder), audit, fs), audit);
    } catch (error) {
      await audit.close();
      throw error;
    }
  }

  static async #read(path, audit, fs) {
    let text = await fs.readFile(path, "utf8").catch((error) => {
      if (error.code !== "ENOENT") throw error;
    });
    if (text === undefined) {
      // The crash of a first start leaves no line in the log. An empty stock must not take the place of a lost one.
      if (audit.revision > 0) throw new Error(`\`${path}\` is missing, and audit.log has revision ${audit.revision}: restore a backup`);
      text = print(EMPTY);
      await writeSynced(`${path}.new`, text, fs);
      await moveInto(`${path}.new`, path, fs);
    }
    const stock = parse(text, path);
    if (audit.revision > stock.revision) await audit.discardAfter(stock.revision);
    return stock;
  }

  get stock() {
    return this.#stock;
  }

  get recent() {
    return this.#audit.recent.toReversed();
  }

  /** Makes a change; returns the changed item when the change is on the disk. */
  change(action, by, apply) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ action, by, apply, resolve, reject });
      if (!this.#isWriting) this.#writing = this.#writeWaiting();
    });
  }

  async close() {
    await this.#writing;
    await this.#audit.close();
  }

  async #writeWaiting() {
    this.#isWriting = true;
    while (this.#waiting.length > 0) await this.#writeBatch(this.#waiting.splice(0));
    this.#isWriting = false;
  }

  async #writeBatch(batch) {
    const made = [];
    let next = this.#stock;
    for (const change of batch) {
      const revision = next.revision + 1;
      try {
        const { items, item } = change.apply(next.items, revision);
        next = { ...next, revision, items };
        made.push({ ...change, item, revision });
      } catch (error) {
        change.reject(error);
      }
    }
    if (made.length === 0) return;
    const time = new Date().toISOString();
    const entries = made.map(({ revision, action, item, by }) => ({ time, revision, action, item, by }));
    try {
      await this.#prepare(print(next), entries);
    } catch (error) {
      this.failure = `cannot write \`${this.#path}\`: ${error.message}`;
      for (const change of made) change.reject(new Refused(503, this.failure));
      return;
    }
    // Not caught: when this fails only the disk knows whether the change was made. The process ends, and reads it again.
    await moveInto(`${this.#path}.new`, this.#path, this.#fs);
    this.failure = null;
    this.#stock = next;
    for (const { resolve, item } of made) resolve(item);
  }

  async #prepare(text, entries) {
    try {
      await writeSynced(`${this.#path}.new`, text, this.#fs);
      await this.#audit.append(entries);
    } catch (error) {
      await this.#fs.rm(`${this.#path}.new`, { force: true });
      throw error;
    }
  }
}

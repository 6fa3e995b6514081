// The audit log: a line of JSON for each change, with the revision that it made. A line is on the disk before its change is;
// a change that a crash prevented is revoked by a line `discard`. So the last line always has the revision of the data.
import * as disk from "node:fs/promises";
import { join } from "node:path";

const TAIL = 256 * 1024;
const RECENT = 50;

export class Audit {
  #file;
  #size;
  recent = [];

  constructor(file, size) {
    this.#file = file;
    this.#size = size;
  }

  static async open(folder, fs = disk) {
    const file = await fs.open(join(folder, "audit.log"), "a+", 0o640);
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const end = buffer.lastIndexOf("\n", bytesRead) + 1;
    const audit = new Audit(file, start + end);
    // A line that a crash cut off belongs to no change.
    if (audit.#size < size) await file.truncate(audit.#size);
    const lines = buffer.toString("utf8", start ? buffer.indexOf("\n") + 1 : 0, end).split("\n");
    for (const line of lines.filter(Boolean)) audit.#remember(JSON.parse(line));
    return audit;
  }

  get revision() {
    return this.recent.at(-1)?.revision ?? 0;
  }

  /** Appends entries and waits until they are on the disk. When it fails the log is as before. */
  async append(entries) {
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    try {
      await this.#file.appendFile(text);
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(this.#size);
      throw error;
    }
    this.#size += Buffer.byteLength(text);
    for (const entry of entries) this.#remember(entry);
  }

  /** Revokes the lines after a revision: their changes did not reach the data. */
  async discardAfter(revision) {
    await this.append([{ time: new Date().toISOString(), revision, action: "discard", last: this.revision }]);
  }

  close() {
    return this.#file.close();
  }

  #remember(entry) {
    this.recent.push(entry);
    if (this.recent.length > RECENT) this.recent.shift();
  }
}

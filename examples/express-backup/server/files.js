// Files that survive a crash at any moment: a new file is written beside the old one, reaches the disk, and takes its name.
// The file system is an argument, so that a test can end the process at each of its calls. Next: `store.js`.
import * as disk from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file and waits until it is on the disk, not only in the kernel's memory (fsync(2)). */
export async function writeSynced(path, content, fs = disk) {
  const file = await fs.open(path, "w", 0o640);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives a file its final name, and waits until the folder is on the disk: rename(2) itself does not. */
export async function moveInto(temporary, path, fs = disk) {
  await fs.rename(temporary, path);
  const folder = await fs.open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

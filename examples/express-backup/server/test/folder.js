import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that lasts as long as the test. */
export async function folderOf(t) {
  const folder = await mkdtemp(join(tmpdir(), "stock-test-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

// Makes a backup: the job `backup` of foster.toml. BACKUP_KEEP (28: a week) is how many stay.
import * as backups from "./backups.js";

const { DATA_DIR = "/app/data", BACKUP_DIR = "/app/backups", BACKUP_KEEP = "28" } = process.env;

try {
  const keep = Number(BACKUP_KEEP);
  if (!Number.isInteger(keep) || keep < 1) throw new Error(`BACKUP_KEEP is \`${BACKUP_KEEP}\`, and has to be a number from 1`);
  const { name, stock, removed } = await backups.make(DATA_DIR, BACKUP_DIR, keep);
  console.log(`made ${name}: ${stock.items.length} items, revision ${stock.revision}; removed ${removed}, the newest ${keep} stay`);
} catch (error) {
  console.error(`cannot make a backup: ${error.message}`);
  process.exit(1);
}

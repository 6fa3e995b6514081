// Opens a store in FOLDER, answers changes one after the other and in batches, and ends itself with SIGKILL at the file system's
// call number N, in the middle of it where it writes. What was answered is on stdout, one name a line. Without a crash: `done`.
//
//     node crashing.js FOLDER N
import { writeSync } from "node:fs";
import * as disk from "node:fs/promises";

import { Store } from "../store.js";
import { add } from "../stock.js";

const [folder, number] = process.argv.slice(2);
let calls = 0;

/** The object, whose calls are counted; the one with the number is the last thing that this process does. */
function counted(object) {
  return new Proxy(object, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...words) => {
        if (++calls === Number(number)) {
          // Half of the bytes arrive.
          if (name === "writeFile" || name === "appendFile") await value.call(target, words[0].slice(0, words[0].length / 2));
          // What was answered too early gets out.
          await new Promise(setImmediate);
          process.kill(process.pid, "SIGKILL");
          await new Promise(() => {});
        }
        const result = await value.apply(target, words);
        return name === "open" ? counted(result) : result;
      };
    },
  });
}

const store = await Store.open(folder, counted({ ...disk }));
const put = async (name) => {
  await store.change("add", "test", add(name, 1));
  // Synchronous: it is out before the process can end.
  writeSync(1, `${name}\n`);
};
await put("one");
await Promise.all(["two", "three", "four"].map(put));
await put("five");
await store.close();
writeSync(1, "done\n");

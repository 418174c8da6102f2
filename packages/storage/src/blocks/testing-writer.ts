// A process that is killed while it works on a block store. Arguments: folder, seed. Says on its output what is done:
// `P n cid` block n was put, `K cid` a pin was made, `U` it was taken away, `G` a collection has ended.
import fs from "node:fs";
import process from "node:process";
import { openBlockStore } from "./block-store.ts";
import { createRandom, seededBlock } from "./testing-blocks.ts";

const [directory, seed] = process.argv.slice(2) as [string, string];
const random = createRandom(Number(seed));
const store = await openBlockStore(directory);
const say = (line: string) => void fs.writeSync(1, `${line}\n`);

say("ready");
for (;;) {
  const numbers = Array.from({ length: 1 + random(6) }, () => random(64));
  await Promise.all(
    numbers.map(async (n) => {
      const cid = await store.put(seededBlock(n));
      say(`P ${n} ${cid}`);
      if (n % 4 !== 0) return;
      store.pin("kept", [cid]);
      say(`K ${cid}`);
    }),
  );
  if (random(8) === 0) {
    say("G");
    await store.gc({ graceMs: random(2) * 20 });
  }
}

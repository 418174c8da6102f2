// A process that downloads a URL into a folder, to be killed by a test in the middle.
import process from "node:process";
import { download } from "./sources/download.ts";

const [url, folder] = process.argv.slice(2);
let told = false;
await download(new URL(url!), {
  folder: folder!,
  allowPrivate: true,
  onProgress: (bytes) => {
    if (bytes < 17 * 2 ** 20 || told) return;
    told = true;
    process.send!("half");
  },
});

// A process that downloads a URL into a folder and tells how far it is, to be killed by a test in the middle.
import process from "node:process";
import { download } from "./sources/download.ts";

const [url, folder] = process.argv.slice(2);
await download(new URL(url!), {
  folder: folder!,
  allowPrivate: true,
  onProgress: (bytes) => process.send!(bytes),
});
process.disconnect();

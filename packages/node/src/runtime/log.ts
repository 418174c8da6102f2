import fs from "node:fs";
import path from "node:path";
import { pino } from "pino";
import type { Log } from "@skynet/swarm";

/** Structured log, one JSON object a line, in the node's data folder. */
export function openLog(dataDir: string, name: string): Log {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const destination = pino.destination({ dest: path.join(dataDir, `${name}.log`), sync: true, append: true });
  // A full disk must not end a node that only wanted to write its log.
  destination.on("error", () => {});
  return pino({ level: process.env.SKYNET_LOG_LEVEL ?? "info", base: { name } }, destination);
}

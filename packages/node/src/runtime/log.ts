import fs from "node:fs";
import path from "node:path";
import { pino } from "pino";
import type { Log } from "@skynet/swarm";

export interface LogOptions {
  /** Default: SKYNET_LOG_LEVEL, else info. */
  readonly level?: string | undefined;
  /** Default: the data folder. Standard error suits services, whose manager keeps it. */
  readonly to?: "file" | "stderr" | undefined;
}

/** Nothing of these names is ever logged on purpose; should it happen by mistake, its value does not reach the file. */
const SECRETS = [
  "groupKey",
  "datasetSecret",
  "dataIdentity",
  "identity",
  "secret",
  "secrets",
  "privateKey",
  "passphrase",
  "apiKey",
  "batch",
  "weights",
  "blinders",
];

/** Structured log, one JSON object a line, in the node's data folder. */
export function openLog(dataDir: string, name: string, { level, to = "file" }: LogOptions = {}): Log {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const dest = to === "stderr" ? 2 : path.join(dataDir, `${name}.log`);
  const destination = pino.destination({ dest, sync: true, append: true });
  // A full disk must not end a node that only wanted to write its log.
  destination.on("error", () => {});
  const redact = { paths: SECRETS.flatMap((secret) => [secret, `*.${secret}`]), censor: "[secret]" };
  return pino({ level: level ?? process.env.SKYNET_LOG_LEVEL ?? "info", base: { name }, redact }, destination);
}

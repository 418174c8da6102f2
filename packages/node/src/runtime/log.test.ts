import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openLog } from "./log.ts";

it("values that are named like secrets do not reach the log, at any level", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-log-"));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  const log = openLog(folder, "node", { level: "trace" });
  const secret = "5ec2e7";
  log.debug({ groupKey: secret, keys: { datasetSecret: secret, epoch: 3 } }, "keys");
  log.warn({ identity: secret, weights: [secret], batch: { x: secret }, round: 4 }, "round");
  const text = await fs.readFile(path.join(folder, "node.log"), "utf8");
  expect(text).not.toContain(secret);
  expect(text).toContain('"epoch":3');
  expect(text).toContain('"round":4');
});

#!/usr/bin/env node
// Launcher: runs the command under Node 24, also when the system's Node is older or nothing is set up yet.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))));
const localNode = path.join(
  root,
  ".toolchain",
  "node",
  "node_modules",
  `node-${process.platform}-${process.arch}`,
  "bin",
  "node",
);

const setup = spawnSync(process.execPath, [path.join(root, "scripts", "setup.mjs")], { stdio: "inherit" });
if (setup.status !== 0) process.exit(setup.status ?? 1);

const main = path.join(root, "packages", "node", "build", "main.js");
if (Number(process.versions.node.split(".")[0]) >= 24) {
  await import(main);
} else {
  const child = spawn(localNode, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => child.kill(name));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

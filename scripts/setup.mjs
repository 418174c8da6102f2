// Prepares a fresh clone: Node 24, npm packages, WebAssembly kernels, contracts.
// Plain JavaScript without dependencies, because it runs before anything is installed (Node 20 or newer).
// Every step leaves a stamp only when it is complete, so an interrupted set-up resumes and a second one is immediate.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const toolchain = path.join(root, ".toolchain");
const WANTED_MAJOR = 24;

class SetupError extends Error {}

/** Hash of the named files and folders (names and contents), relative to the project root. */
function hashOf(paths) {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`);
  const visit = (relative) => {
    const full = path.join(root, relative);
    if (!fs.existsSync(full)) return;
    if (fs.statSync(full).isDirectory()) {
      for (const name of fs.readdirSync(full).sort()) {
        if (!["node_modules", "build", "generated", "artifacts", "cache"].includes(name))
          visit(path.join(relative, name));
      }
      return;
    }
    hash.update(relative).update("\0").update(fs.readFileSync(full));
  };
  for (const entry of paths) visit(entry);
  return hash.digest("hex");
}

const stampFile = (name) => path.join(toolchain, `${name}.stamp`);
const readStamp = (name) => (fs.existsSync(stampFile(name)) ? fs.readFileSync(stampFile(name), "utf8") : "");

function writeStamp(name, value) {
  fs.mkdirSync(toolchain, { recursive: true });
  fs.writeFileSync(`${stampFile(name)}.tmp`, value);
  fs.renameSync(`${stampFile(name)}.tmp`, stampFile(name));
}

/** Runs a command; shows a line with the elapsed seconds while it works and its output only when it fails. */
function run(label, command, args, env) {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    const live = process.stderr.isTTY && !process.env.CI;
    const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(0);
    process.stderr.write(live ? "" : `  ${label} ...\n`);
    const timer = live ? setInterval(() => process.stderr.write(`\r  ${label} ... ${seconds()} s `), 500) : undefined;
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    const stop = (signal) => child.kill(signal);
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    const finish = () => {
      clearInterval(timer);
      process.removeListener("SIGINT", stop);
      process.removeListener("SIGTERM", stop);
    };
    child.on("error", (error) => {
      finish();
      reject(new SetupError(`${label}: ${command} could not be started (${error.message})`));
    });
    child.on("close", (code, signal) => {
      finish();
      if (code === 0) {
        process.stderr.write(
          live ? `\r  ${label} ... done in ${seconds()} s\n` : `  ${label}: done in ${seconds()} s\n`,
        );
        resolve();
        return;
      }
      if (live) process.stderr.write("\n");
      if (signal)
        return reject(new SetupError(`${label}: interrupted. Run the same command again: it goes on from here.`));
      reject(new SetupError(explainFailure(label, Buffer.concat(output).toString("utf8"))));
    });
  });
}

function explainFailure(label, output) {
  if (
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|ECONNRESET|EHOSTUNREACH/.test(
      output,
    )
  ) {
    return `${label}: the npm registry cannot be reached and the packages are not in npm's cache.\nThe first set-up needs a network connection once. Connect (or check "npm config get registry" and your proxy), then run the same command again.`;
  }
  if (/ENOSPC/.test(output))
    return `${label}: the disk is full. The set-up needs about 2 GB; free some space, then run the same command again.`;
  return `${label} failed:\n${output.split("\n").slice(-40).join("\n")}`;
}

const executable = (folder) => path.join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
const nodePackage = `node-${process.platform}-${process.arch}`;
const localNode = executable(path.join(toolchain, "node", "node_modules", nodePackage));

/** How to call npm with a given Node binary. */
function npmCommand(node) {
  const candidates = [
    process.env.npm_execpath,
    path.join(path.dirname(process.execPath), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js"),
    path.join(path.dirname(process.execPath), "node_modules", "npm", "bin", "npm-cli.js"),
    "/usr/share/nodejs/npm/bin/npm-cli.js",
  ];
  const cli = candidates.find((candidate) => candidate && /npm-cli\.c?js$/.test(candidate) && fs.existsSync(candidate));
  return cli ? [node, [cli]] : ["npm", []];
}

async function setUpNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= WANTED_MAJOR) return process.execPath;
  if (readStamp("node") === nodePackage && fs.existsSync(localNode)) return localNode;
  const [command, prefix] = npmCommand(process.execPath);
  const folder = path.join(toolchain, "node");
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "package.json"), '{ "private": true }\n');
  const args = [
    ...prefix,
    "install",
    "--prefix",
    folder,
    "--no-save",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    `${nodePackage}@${WANTED_MAJOR}`,
  ];
  await run(`Node ${WANTED_MAJOR} (this machine has ${process.versions.node})`, command, args, process.env);
  if (!fs.existsSync(localNode))
    throw new SetupError(
      `Node ${WANTED_MAJOR} has no package for ${process.platform}-${process.arch}. Install Node ${WANTED_MAJOR} yourself, then run the same command again.`,
    );
  writeStamp("node", nodePackage);
  return localNode;
}

function environmentFor(node) {
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  env.PATH = [path.dirname(node), path.join(root, "node_modules", ".bin"), env.PATH].join(path.delimiter);
  return env;
}

async function setUpPackages(node, env) {
  const manifests = ["package.json", "package-lock.json", ".npmrc", "benchmarks/package.json"];
  for (const name of fs.readdirSync(path.join(root, "packages"))) manifests.push(`packages/${name}/package.json`);
  const lockFree = manifests.filter((name) => name !== "package-lock.json");
  const wanted = hashOf(lockFree) + path.basename(path.dirname(path.dirname(node)));
  if (readStamp("packages") === wanted && fs.existsSync(path.join(root, "node_modules", ".bin"))) return;
  const [command, prefix] = npmCommand(node);
  await run("npm packages", command, [...prefix, "install", "--no-audit", "--no-fund", "--prefer-offline"], env);
  writeStamp("packages", wanted);
}

function linkTo(node, link) {
  if (fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(node)) return;
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  fs.symlinkSync(node.startsWith(root + path.sep) ? path.relative(path.dirname(link), node) : node, link);
}

/**
 * npm puts node_modules/.bin first on the PATH of every script: a link there gives all of them this Node. Services start
 * it by .toolchain/bin/node, whichever Node that is.
 */
function linkNode(node) {
  if (process.platform === "win32") return;
  linkTo(node, path.join(toolchain, "bin", "node"));
  if (node !== process.execPath || fs.existsSync(localNode))
    linkTo(node, path.join(root, "node_modules", ".bin", "node"));
}

const builds = [
  {
    name: "kernels",
    label: "WebAssembly kernels",
    script: "packages/proof/build.ts",
    sources: [
      "packages/proof/build.ts",
      "packages/proof/field-kernels.ts",
      "packages/proof/src/field/fr.ts",
      "packages/proof/src/kernels",
    ],
    product: "packages/proof/build",
  },
  {
    name: "contracts",
    label: "Contracts (Solidity)",
    script: "packages/contracts/build.ts",
    sources: [
      "packages/contracts/build.ts",
      "packages/contracts/compile.ts",
      "packages/contracts/hardhat.config.ts",
      "packages/contracts/solidity",
      "packages/contracts/package.json",
    ],
    product: "packages/contracts/generated",
  },
  {
    name: "command",
    label: "The skynet command",
    script: "packages/node/build.ts",
    sources: ["packages", "package-lock.json"],
    product: "packages/node/build/main.js",
  },
];

async function setUpBuilds(node, env) {
  for (const build of builds) {
    const wanted = hashOf(build.sources);
    if (readStamp(build.name) === wanted && fs.existsSync(path.join(root, build.product))) continue;
    await run(build.label, node, [build.script], env);
    writeStamp(build.name, wanted);
  }
}

async function main() {
  const node = await setUpNode();
  const env = environmentFor(node);
  await setUpPackages(node, env);
  linkNode(node);
  await setUpBuilds(node, env);
}

try {
  await main();
} catch (error) {
  if (error instanceof SetupError) {
    process.stderr.write(`\nSet-up stopped. ${error.message}\n`);
    process.exit(1);
  }
  if (error?.code === "ENOSPC") {
    process.stderr.write("\nSet-up stopped. The disk is full: free about 2 GB, then run the same command again.\n");
    process.exit(1);
  }
  throw error;
}

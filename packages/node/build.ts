// Bundles the `skynet` command: one file per command instead of two thousand modules, so that a process starts in a third
// of the time and takes less than half of the memory. Run by `npm run setup`; sources stay runnable as they are.
// Each bundle has a folder of its own, named by its content, and build/main.js names the latest: processes that run go
// on with the files that they began with.
import { build, type Plugin } from "esbuild";
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import process from "node:process";

const root = path.join(import.meta.dirname, "..", "..");
const builds = path.join(import.meta.dirname, "build");
/** As deep as the folder of a bundle. */
const target = path.join(builds, "bundle");
const OLD_MS = 7 * 24 * 3_600_000;

/** Threads are programs of their own: where their file is in the sources, and its name in the bundle. */
const threads: Readonly<Record<string, string>> = {
  "packages/node/src/trainer/thread.ts": "trainer-thread",
  "packages/proof/src/vectors/thread.ts": "proof-thread",
};

/** Packages with native code, or with files that they look for beside their own. */
const external = [
  "@chainsafe/libp2p-quic",
  "esbuild",
  "koffi",
  "node-datachannel",
  "onnxruntime-node",
  "sharp",
  "solc",
];

/** Our own modules name files by where they are themselves; in the bundle that is said relative to the bundle. */
const ownPlaces: Plugin = {
  name: "own-places",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]packages[\\/][a-z]+[\\/]src[\\/].*\.ts$/ }, async ({ path: file }) => {
      const source = await fs.readFile(file, "utf8");
      if (!source.includes("import.meta")) return undefined;
      const fromTarget = (name: string) =>
        `new URL("${path.relative(target, name).replaceAll(path.sep, "/")}", BUNDLE_URL)`;
      const contents = source
        .replaceAll(/new URL\("(?:\.\/)?thread\.ts", import\.meta\.url\)/g, () => {
          const thread = path.relative(root, path.join(path.dirname(file), "thread.ts")).replaceAll(path.sep, "/");
          if (threads[thread] === undefined) throw new Error(`packages/node/build.ts does not list ${thread}`);
          return `new URL("${threads[thread]}.js", BUNDLE_URL)`;
        })
        .replaceAll("import.meta.dirname", `ownFolder(${fromTarget(path.dirname(file))})`)
        .replaceAll("import.meta.url", `${fromTarget(file)}.href`)
        .replaceAll("BUNDLE_URL", "import.meta.url");
      return { contents, loader: "ts" };
    });
  },
};

const { warnings, outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: {
    main: "packages/node/src/cli/main.ts",
    ...Object.fromEntries(Object.entries(threads).map(([file, name]) => [name, file])),
  },
  outdir: target,
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node24",
  sourcemap: "linked",
  sourcesContent: false,
  write: false,
  external,
  plugins: [ownPlaces],
  // What CommonJS packages ask Node for, and the folders of our modules.
  banner: {
    js: 'import { createRequire as requireFrom } from "node:module"; import { fileURLToPath as ownFolder } from "node:url"; const require = requireFrom(import.meta.url);',
  },
  logLevel: "error",
});
if (warnings.length > 0) process.exitCode = 1;

const hash = createHash("sha256");
for (const file of outputFiles) hash.update(path.basename(file.path)).update(file.contents);
const name = hash.digest("hex").slice(0, 16);
await fs.mkdir(path.join(builds, name), { recursive: true });
for (const file of outputFiles) await fs.writeFile(path.join(builds, name, path.basename(file.path)), file.contents);
const latest = path.join(builds, `main.js.${process.pid}`);
await fs.writeFile(latest, `import "./${name}/main.js";\n`);
await fs.rename(latest, path.join(builds, "main.js"));
for (const entry of await fs.readdir(builds, { withFileTypes: true })) {
  const old = path.join(builds, entry.name);
  if (!entry.isDirectory() || entry.name === name || Date.now() - (await fs.stat(old)).mtimeMs < OLD_MS) continue;
  await fs.rm(old, { recursive: true, force: true });
}

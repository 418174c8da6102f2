// Our sources as a few files of JavaScript, for programs that start quicker and take less memory.
import { build, type BuildResult, type Plugin } from "esbuild";
import fs from "node:fs/promises";
import path from "node:path";

const root = path.join(import.meta.dirname, "..", "..");

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
const ownPlaces = (target: string): Plugin => ({
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
          if (threads[thread] === undefined) throw new Error(`packages/node/bundle.ts does not list ${thread}`);
          return `new URL("${threads[thread]}.js", BUNDLE_URL)`;
        })
        .replaceAll("import.meta.dirname", `ownFolder(${fromTarget(path.dirname(file))})`)
        .replaceAll("import.meta.url", `${fromTarget(file)}.href`)
        .replaceAll("BUNDLE_URL", "import.meta.url");
      return { contents, loader: "ts" };
    });
  },
});

/**
 * Bundles programs, and the threads that they start; writes nothing.
 * @param entries names in the bundle, and the files of the programs relative to the repository
 * @param target the folder that the files are for, or one of its depth
 */
export function bundle(
  entries: Readonly<Record<string, string>>,
  target: string,
): Promise<BuildResult<{ write: false }>> {
  return build({
    absWorkingDir: root,
    entryPoints: {
      ...entries,
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
    plugins: [ownPlaces(target)],
    // What CommonJS packages ask Node for, and the folders of our modules.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; import { fileURLToPath as ownFolder } from "node:url"; const require = requireFrom(import.meta.url);',
    },
    logLevel: "error",
  });
}

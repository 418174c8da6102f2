// The repository's sources as ES modules for a browser: types are stripped, imports of packages become paths.
import fs from "node:fs/promises";
import http from "node:http";
import { findPackageJSON, stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";

const root = await fs.realpath(path.join(import.meta.dirname, "..", ".."));

export interface SourceServer {
  readonly origin: string;
  /** Every request so far: its path, and what the browser wanted it for ("script", "worker", ...). */
  readonly requests: { readonly path: string; readonly destination: string }[];
  close(): Promise<void>;
}

export interface ServeOptions {
  /** Whether pages are cross-origin isolated: only these have SharedArrayBuffer. */
  readonly isolated: boolean;
  /** Paths that do not exist. */
  readonly missing?: RegExp;
}

type Exports = string | null | { readonly [key: string]: Exports } | undefined;

/** The file that a browser takes of conditional exports. */
function choose(entry: Exports): string | undefined {
  if (typeof entry === "string") return entry;
  for (const [condition, inner] of Object.entries(entry ?? {})) {
    if (!["browser", "import", "default"].includes(condition)) continue;
    const file = choose(inner);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** The path on this server for an import of a package. */
async function resolvePackage(specifier: string, importer: string): Promise<string> {
  const [name] = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)!;
  const file = findPackageJSON(name, pathToFileURL(importer));
  if (file === undefined) throw new Error(`${importer} imports ${specifier}, which is not installed`);
  const manifest = JSON.parse(await fs.readFile(file, "utf8")) as { exports?: Exports; module?: string; main?: string };
  const subpath = `.${specifier.slice(name.length)}`;
  const { exports } = manifest;
  const hasSubpaths = typeof exports === "object" && exports !== null && "." in exports;
  const entry = hasSubpaths ? exports[subpath] : subpath === "." ? exports : undefined;
  const fallback = subpath === "." ? (manifest.module ?? manifest.main ?? "index.js") : subpath;
  const target = exports === undefined ? fallback : choose(entry);
  if (target === undefined) throw new Error(`${importer} imports ${specifier}, which has no form for browsers`);
  return `/${path.relative(root, await fs.realpath(path.join(path.dirname(file), target)))}`;
}

/** Imports whose specifier is neither a path nor a URL. */
const PACKAGE_IMPORT = /(\b(?:from|import)\s*\(?\s*)(["'])((?!\.{0,2}\/|[a-z]+:)[^"'\s]+)\2/g;

async function moduleOf(file: string): Promise<string> {
  const source = await fs.readFile(file, "utf8");
  const script = file.endsWith(".ts") ? stripTypeScriptTypes(source) : source;
  const paths = new Map<string, string>();
  for (const [, , , specifier] of script.matchAll(PACKAGE_IMPORT))
    paths.set(specifier!, await resolvePackage(specifier!, file));
  return script.replace(PACKAGE_IMPORT, (_, before, quote, specifier) => before + quote + paths.get(specifier) + quote);
}

async function contentOf(pathname: string): Promise<{ type: string; body: string | Uint8Array } | undefined> {
  if (pathname === "/")
    return {
      type: "text/html; charset=utf-8",
      body: '<!doctype html><title>SkyNet</title><link rel="icon" href="data:,">',
    };
  const file = path.join(root, decodeURIComponent(pathname));
  if (!file.startsWith(root + path.sep)) return undefined;
  if (file.endsWith(".wasm")) return { type: "application/wasm", body: await fs.readFile(file) };
  if (/\.(?:ts|m?js)$/.test(file)) return { type: "text/javascript; charset=utf-8", body: await moduleOf(file) };
  return undefined;
}

/** Serves an empty page at / and the sources below it, on the loopback interface. */
export async function serveSources({ isolated, missing }: ServeOptions): Promise<SourceServer> {
  const requests: { path: string; destination: string }[] = [];
  const isolation: Record<string, string> = isolated
    ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
    : {};
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    requests.push({ path: pathname, destination: String(request.headers["sec-fetch-dest"]) });
    contentOf(missing?.test(pathname) ? "/missing" : pathname).then(
      (content) => {
        response.writeHead(content ? 200 : 404, {
          "content-type": content?.type ?? "text/plain",
          "cache-control": "no-store",
          ...isolation,
        });
        response.end(content?.body ?? "not found");
      },
      (error: unknown) => {
        response.writeHead(500, { "content-type": "text/plain", ...isolation });
        response.end(String(error));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

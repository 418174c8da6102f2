// Serves a page with one bundled script, on the loopback interface.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";

export interface BundleServer {
  readonly origin: string;
  /** Size of the script, bytes. */
  readonly bytes: number;
  close(): Promise<void>;
}

const HTML = `<!doctype html><meta charset="utf-8"><title>test</title><script type="module" src="/bundle.js"></script>`;

/** Bundles an entry file as a browser gets it. @throws Error when something in it needs Node */
export async function serveBundle(entry: string): Promise<BundleServer> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["browser"],
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
    logLevel: "silent",
  });
  const script = outputFiles[0]!.contents;
  const server = http.createServer((request, response) => {
    const isScript = request.url === "/bundle.js";
    response.writeHead(isScript || request.url === "/" ? 200 : 404, {
      "content-type": isScript ? "text/javascript" : "text/html",
    });
    response.end(isScript ? script : HTML);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    bytes: script.length,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

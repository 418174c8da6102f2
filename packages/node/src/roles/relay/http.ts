import http from "node:http";
import type { AddressInfo } from "node:net";
import { SkyNetError } from "@skynet/protocol";

/** Whether a relay can do its work now. */
export interface Readiness {
  readonly ready: boolean;
  readonly [part: string]: unknown;
}

export interface MonitorOptions {
  readonly host: string;
  readonly port: number;
  /** Text of all metrics, and its content type. */
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly readiness: () => Promise<Readiness>;
}

export interface Monitor {
  /** For example http://127.0.0.1:9464 */
  readonly url: string;
  close(): Promise<void>;
}

const REQUEST_MS = 5000;
const MAX_CONNECTIONS = 32;

/**
 * Serves /metrics (Prometheus), /healthz (the process answers) and /readyz (it can do its work; 503 when not).
 * @throws SkyNetError `PortInUse`
 */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  const { host, port } = options;
  const server = http.createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    answer(request, options).then(
      ({ status, type, body }) => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
        response.end(request.method === "HEAD" ? "" : body);
      },
      (error: unknown) => {
        response.writeHead(500, { "content-type": "text/plain" });
        response.end(`${String(error)}\n`);
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new SkyNetError("PortInUse", `metrics cannot be served on ${host}:${port}: ${cause.message}`, {
          cause,
          hint: "choose another address with --metrics HOST:PORT",
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  const name = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${name}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer({ method, url = "/" }: http.IncomingMessage, options: MonitorOptions) {
  const text = (status: number, body: string) => ({ status, type: "text/plain; charset=utf-8", body });
  if (method !== "GET" && method !== "HEAD") return text(405, "only GET\n");
  switch (url.split("?")[0]) {
    case "/metrics":
      return { status: 200, type: options.metricsType, body: await options.metrics() };
    case "/healthz":
      return text(200, "ok\n");
    case "/readyz": {
      const readiness = await options.readiness();
      const body = `${JSON.stringify(readiness)}\n`;
      return { status: readiness.ready ? 200 : 503, type: "application/json", body };
    }
    default:
      return text(404, "try /metrics, /healthz or /readyz\n");
  }
}

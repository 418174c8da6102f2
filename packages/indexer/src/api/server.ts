import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { IndexError } from "../errors.ts";
import type { ApiEnv } from "./guards.ts";

export interface ApiServer {
  readonly url: string;
  /** Lets requests in progress end, for a moment. */
  close(): Promise<void>;
}

const CLOSE_AFTER_MS = 2_000;
const MAX_CONNECTIONS = 512;

/** @throws IndexError `PortInUse`, `BadListen` */
export async function serveApi(app: Hono<ApiEnv>, host: string, port: number): Promise<ApiServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    // strangers must not keep connections open with headers that never end
    serverOptions: { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5_000, maxHeaderSize: 16_384 },
  }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EADDRINUSE")
      throw new IndexError("PortInUse", `port ${port} is in use`, {
        cause,
        hint: "stop the program that uses it, or choose another --port",
      });
    throw new IndexError("BadListen", `the index cannot listen on ${host} port ${port}`, {
      cause,
      hint: "--listen takes an address of this machine, such as 127.0.0.1 or 0.0.0.0",
    });
  }
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), CLOSE_AFTER_MS);
      await closed;
      clearTimeout(force);
    },
  };
}

import net from "node:net";
import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";

export type ApiEnv = { Bindings: HttpBindings };
type ApiContext = Context<ApiEnv>;

/** Seconds over which requests are counted. */
const RATE_SECONDS = 10;
const MAX_URL = 2_048;

export function refuse(context: ApiContext, status: 400 | 403 | 404 | 405 | 414 | 429 | 500, error: object): Response {
  return context.json({ error }, status);
}

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name === "::1" || (net.isIPv4(name) && name.startsWith("127."));
}

/** Name of a Host header or an origin, without its port; undefined when it is none. */
function hostnameOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).hostname : undefined;
}

/** Whoever has an IPv6 network has 2^64 addresses: it counts as one. */
function clientOf(context: ApiContext): string {
  const address = context.env.incoming.socket.remoteAddress ?? "unknown";
  if (!net.isIPv6(address) || address.startsWith("::ffff:")) return address;
  const [head = "", tail = ""] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const zeros = 8 - groups.length - tail.split(":").filter((group) => group !== "").length;
  return [...groups, ...Array.from({ length: Math.max(0, zeros) }, () => "0")].slice(0, 4).join(":");
}

/** At most `perSecond` requests a second from one address, over ten seconds. */
export function limitRate(perSecond: number): MiddlewareHandler<ApiEnv> {
  const limiter = new RateLimiterMemory({ points: perSecond * RATE_SECONDS, duration: RATE_SECONDS });
  return async (context, next) => {
    try {
      await limiter.consume(clientOf(context));
    } catch (limit) {
      if (!(limit instanceof RateLimiterRes)) throw limit;
      context.header("Retry-After", String(Math.max(1, Math.ceil(limit.msBeforeNext / 1000))));
      return refuse(context, 429, { code: "TooManyRequests", message: "too many requests from this address" });
    }
    return next();
  };
}

/**
 * A page of a stranger can make its own name point to this machine and then read what answers here. Such a request
 * names the stranger's host: where only this machine is served, only its own names are.
 */
export function requireOwnHost(publicly: boolean): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const host = hostnameOf(`http://${context.env.incoming.headers.host ?? ""}`);
    if (publicly || (host !== undefined && isLoopback(host))) return next();
    return refuse(context, 403, {
      code: "ForbiddenHost",
      message: "this index answers only to localhost and 127.0.0.1",
      hint: "start it with --listen to serve other machines",
    });
  };
}

/** Pages of this machine may read; of a public index, all pages. */
export function allowOrigins(publicly: boolean): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    await next();
    const { origin } = context.env.incoming.headers;
    const host = origin === undefined ? undefined : hostnameOf(origin);
    if (publicly) context.header("Access-Control-Allow-Origin", "*");
    else if (origin !== undefined && host !== undefined && isLoopback(host))
      context.header("Access-Control-Allow-Origin", origin);
    context.header("Vary", "Origin");
    context.header("Access-Control-Expose-Headers", "Retry-After");
    context.header("X-Content-Type-Options", "nosniff");
    context.header("Cache-Control", "no-store");
  };
}

/** Nothing but GET without a body, and no endless addresses. */
export const requirePlainGet: MiddlewareHandler<ApiEnv> = async (context, next) => {
  const { method = "", url = "", headers } = context.env.incoming;
  if (method === "OPTIONS") {
    context.header("Access-Control-Allow-Methods", "GET");
    return context.body(null, 204);
  }
  if (method !== "GET") {
    context.header("Allow", "GET, OPTIONS");
    return refuse(context, 405, { code: "MethodNotAllowed", message: "the index only answers GET" });
  }
  if (headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0") {
    context.header("Connection", "close");
    return refuse(context, 400, { code: "BodyNotAllowed", message: "a request has no body" });
  }
  if (url.length > MAX_URL) return refuse(context, 414, { code: "AddressTooLong", message: "the address is too long" });
  return next();
};

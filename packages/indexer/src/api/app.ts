import { SkyNetError } from "@skynet/protocol";
import { Hono, type Context } from "hono";
import { z } from "zod";
import { IndexError } from "../errors.ts";
import { allowOrigins, limitRate, refuse, requireOwnHost, requirePlainGet, type ApiEnv } from "./guards.ts";
import { describeApi } from "./openapi.ts";
import type { Route } from "./routes.ts";

export interface AppOptions {
  readonly routes: readonly Route[];
  /** Requests per second and address. */
  readonly perSecond: number;
  /** Whether other machines are served. */
  readonly publicly: boolean;
  /** Told about errors that are no fault of the request. */
  readonly onError: (error: unknown) => void;
}

/** @throws IndexError `BadQuery` naming the parameter */
function parseParameter(name: string, type: z.ZodType, text: string | undefined): unknown {
  const parsed = type.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new IndexError("BadQuery", `${name}: ${parsed.error.issues[0]?.message ?? "not valid"}`, {
    hint: "/openapi.json describes the parameters",
  });
}

function parseQuery(route: Route, given: URLSearchParams): Record<string, unknown> {
  for (const name of given.keys()) {
    if (!Object.hasOwn(route.query, name) || given.getAll(name).length > 1)
      throw new IndexError("BadQuery", "a parameter is unknown or given twice", {
        hint: "/openapi.json describes the parameters",
      });
  }
  return Object.fromEntries(
    Object.entries(route.query).map(([name, type]) => [name, parseParameter(name, type, given.get(name) ?? undefined)]),
  );
}

function answer(context: Context<ApiEnv>, route: Route): Response {
  const { searchParams } = new URL(context.req.url);
  const query = parseQuery(route, searchParams);
  const id = route.id === undefined ? "" : (parseParameter("id", route.id, context.req.param("id")) as string);
  const found = route.handle({ id, query });
  if (found === undefined) return refuse(context, 404, { code: "NotFound", message: "there is no such entry" });
  return context.json(found);
}

/** The API as a function from requests to responses. */
export function createApp({ routes, perSecond, publicly, onError }: AppOptions): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const description = describeApi(routes);
  app.use(allowOrigins(publicly), limitRate(perSecond), requireOwnHost(publicly), requirePlainGet);
  for (const route of routes) app.get(route.path.replace("{id}", ":id"), (context) => answer(context, route));
  app.get("/openapi.json", (context) => context.json(description));
  app.notFound((context) =>
    refuse(context, 404, { code: "NoSuchPath", message: "there is no such path", hint: "see /openapi.json" }),
  );
  app.onError((error, context) => {
    if (error instanceof SkyNetError) {
      const { code, message, hint } = error;
      return refuse(context, 400, { code, message, ...(hint === undefined ? {} : { hint }) });
    }
    onError(error);
    return refuse(context, 500, { code: "Unexpected", message: "the index could not answer" });
  });
  return app;
}

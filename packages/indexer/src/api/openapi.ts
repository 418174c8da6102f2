import { z } from "zod";
import { errorItem } from "../schemas.ts";
import type { Route } from "./routes.ts";

/** JSON Schema of what is sent or received, before it is parsed. */
function schemaOf(type: z.ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(type, { io: "input" });
  return schema;
}

const json = (description: string, type: z.ZodType) => ({
  description,
  content: { "application/json": { schema: schemaOf(type) } },
});

function parametersOf({ id, query }: Route) {
  const path = id === undefined ? [] : [{ name: "id", in: "path", required: true, schema: schemaOf(id) }];
  const rest = Object.entries(query).map(([name, type]) => {
    const { description, ...schema } = schemaOf(type);
    return { name, in: "query", required: false, ...(description === undefined ? {} : { description }), schema };
  });
  return [...path, ...rest];
}

/** OpenAPI 3.1 description of the routes. */
export function describeApi(routes: readonly Route[]): Record<string, unknown> {
  const paths = routes.map((route) => {
    const responses = {
      200: json("the answer", route.answer),
      400: json("the request is not understood", errorItem),
      ...(route.id === undefined ? {} : { 404: json("there is no such entry", errorItem) }),
      429: json("too many requests; Retry-After says how many seconds to wait", errorItem),
    };
    return [route.path, { get: { summary: route.summary, parameters: parametersOf(route), responses } }] as const;
  });
  return {
    openapi: "3.1.0",
    info: {
      title: "SkyNet index",
      version: "1",
      description:
        "What the contracts' events say, for lists and searches. An index can omit or lie: whoever spends money reads the chain.",
      license: { name: "MIT" },
    },
    paths: Object.fromEntries(paths),
  };
}

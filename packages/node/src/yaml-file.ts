// Reading YAML that people write: every problem is told with its place and what to write instead.
import { closest } from "fastest-levenshtein";
import { isNode, LineCounter, parseDocument, visit, type Document } from "yaml";
import { z } from "zod";
import { printable } from "@skynet/protocol";

export type YamlResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Parses a text by a schema; problems begin with the line where they are known to be. */
export function parseYaml<Schema extends z.ZodType>(text: string, schema: Schema): YamlResult<z.output<Schema>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const syntax = document.errors[0];
  if (syntax) {
    const line = lines.linePos(syntax.pos[0]).line;
    return { ok: false, problems: [printable(`line ${line}: ${syntax.message.split(" at line")[0]!.split("\n")[0]}`)] };
  }
  const alias = aliasIn(document, lines);
  if (alias !== undefined) return { ok: false, problems: [printable(alias)] };
  // An empty file says nothing, as one with comments alone.
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {});
  if (parsed.success) return { ok: true, value: parsed.data };
  const problems = parsed.error.issues.flatMap((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys : [undefined];
    return explainIssue(schema, issue).map((text, i) => {
      const line = lineOf(document, lines, keys[i] === undefined ? issue.path : [...issue.path, keys[i]]);
      return line === undefined ? text : `line ${line}: ${text}`;
    });
  });
  return { ok: false, problems: problems.map(printable) };
}

/** Aliases are not followed: a few lines of them can stand for any amount of memory. */
export function aliasIn(document: Document, lines: LineCounter): string | undefined {
  let problem: string | undefined;
  visit(document, {
    Alias: (_, { source, range }) => {
      problem = `line ${lines.linePos(range![0]).line}: *${source} is an alias; write the value itself`;
      return visit.BREAK;
    },
  });
  return problem;
}

/** Line of the value at a path, or of the nearest thing around it that is in the file. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

/** What is wrong, by key; for keys that do not exist the nearest one that does. */
export function explainIssue(schema: z.ZodType, issue: z.core.$ZodIssue): string[] {
  const where = issue.path.join(".");
  if (issue.code !== "unrecognized_keys") return [where === "" ? issue.message : `${where}: ${issue.message}`];
  const valid = keysAt(schema, issue.path);
  return issue.keys.map((key) => {
    const full = where === "" ? key : `${where}.${key}`;
    if (valid.length === 0) return `unknown key "${full}"`;
    return `unknown key "${full}"; the nearest valid one is "${closest(key, valid)}" (valid: ${valid.join(", ")})`;
  });
}

/** Keys that a schema allows at a path, in any of its forms. */
function keysAt(root: z.ZodType, keyPath: readonly PropertyKey[]): string[] {
  let schemas: unknown[] = formsOf(root);
  for (const key of keyPath) schemas = schemas.flatMap((schema) => formsOf(childOf(schema, key)));
  return schemas.flatMap((schema) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []));
}

/** A schema, or those of which it is one. */
function formsOf(schema: unknown): unknown[] {
  const inner = unwrap(schema);
  return inner instanceof z.ZodUnion ? inner.options.flatMap(formsOf) : [inner];
}

function childOf(schema: unknown, key: PropertyKey): unknown {
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return schema instanceof z.ZodObject ? (schema.shape as Record<PropertyKey, unknown>)[key] : undefined;
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodPipe) inner = inner.def.in;
    else if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
      inner = inner.def.innerType;
    else return inner;
  }
}

import type { Cell } from "./reader.ts";

/** A tensor in a line of JSON: nested lists of numbers. */
export interface JsonTensor {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export type JsonValue = Cell | JsonTensor;

const MAX_DEPTH = 32;

/** What is wrong with a value of a line; the caller knows the line. */
export class JsonProblem extends Error {}

/**
 * The values of one line of JSON by column: objects in it are flattened to `outer.inner`, lists of numbers are tensors.
 * Names like `__proto__` are names like others.
 * @throws JsonProblem for what is no object, numbers beyond 64-bit floats, lists of other things, and depth over 32
 */
export function flattenRow(text: string): Map<string, JsonValue> {
  const row = parseJson(text);
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new JsonProblem('not an object like {"width": 5.1, "class": "setosa"}');
  const values = new Map<string, JsonValue>();
  flatten(row, "", 0, values);
  return values;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new JsonProblem("not JSON");
  }
}

function flatten(object: object, prefix: string, depth: number, values: Map<string, JsonValue>): void {
  if (depth > MAX_DEPTH) throw new JsonProblem(`objects inside of objects, more than ${MAX_DEPTH} deep`);
  for (const [key, value] of Object.entries(object)) {
    const name = prefix + key;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      flatten(value as object, `${name}.`, depth + 1, values);
      continue;
    }
    if (values.has(name)) throw new JsonProblem(`two values for ${JSON.stringify(name)}`);
    values.set(name, Array.isArray(value) ? tensorOf(value, name) : cellOf(value, name));
  }
}

function cellOf(value: unknown, name: string): Cell {
  if (typeof value === "number") return finite(value, name);
  return value as Cell;
}

function finite(value: number, name: string): number {
  if (Number.isFinite(value)) return value;
  throw new JsonProblem(`${JSON.stringify(name)} is beyond the numbers that 64-bit floats hold`);
}

function tensorOf(list: readonly unknown[], name: string): JsonTensor {
  const shape: number[] = [];
  for (let inner: unknown = list; Array.isArray(inner); inner = inner[0]) {
    shape.push(inner.length);
    if (shape.length > MAX_DEPTH)
      throw new JsonProblem(`${JSON.stringify(name)} has lists more than ${MAX_DEPTH} deep`);
  }
  const values: number[] = [];
  const take = (found: unknown, depth: number): void => {
    if (depth < shape.length) {
      if (!Array.isArray(found) || found.length !== shape[depth])
        throw new JsonProblem(`${JSON.stringify(name)} has lists of different lengths`);
      for (const inner of found) take(inner, depth + 1);
    } else if (typeof found === "number") values.push(finite(found, name));
    else throw new JsonProblem(`${JSON.stringify(name)} is a list of something else than numbers`);
  };
  take(list, 0);
  return { shape, values };
}

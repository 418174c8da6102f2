import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StorageError } from "../errors.ts";
import { openTestFolder, readAll, type TestFolder } from "../testing-files.ts";

let folder: TestFolder;
beforeAll(async () => {
  folder = await openTestFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

let files = 0;
const read = async (text: string, name = "rows.jsonl") => readAll(await folder.write(`${files++}-${name}`, text));
const fail = async (text: string) => {
  const error = await read(text).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
};

describe("JSON lines", () => {
  it("reads values of every type, flattens objects, and takes a missing key as missing", async () => {
    const { reader, values, blocks } = await read(
      '{"a": 1.5, "b": "x", "c": {"d": true, "e": {"f": null}}}\r\n\n{"b": "y", "a": -2e3, "g": 7}\n',
    );
    expect(reader.columns.map(({ name }) => name)).toEqual(["a", "b", "c.d", "c.e.f", "g"]);
    expect(values).toEqual([
      [1.5, -2000],
      ["x", "y"],
      [true, null],
      [null, null],
      [null, 7],
    ]);
    expect(blocks[0]!.locate(1)).toBe("line 3");
  });

  it("reads lists of numbers of one shape as tensors", async () => {
    const row = (k: number) =>
      JSON.stringify({
        image: [
          [k, 1, 2],
          [3, 4, 5],
        ],
        label: "cat",
      });
    const { reader, values } = await read(Array.from({ length: 5000 }, (_, k) => row(k)).join("\n"));
    expect(reader.columns[0]).toEqual({ name: "image", kind: "tensor", shape: [2, 3], dtype: "float64" });
    expect(values[0]).toHaveLength(30_000);
    expect(values[0]!.slice(-6)).toEqual([4999, 1, 2, 3, 4, 5]);
  });

  it("takes names that mean something to JavaScript as names like others", async () => {
    const { reader, values } = await read('{"__proto__": 1, "constructor": "x", "toString": {"length": 2}}\n');
    expect(reader.columns.map(({ name }) => name)).toEqual(["__proto__", "constructor", "toString.length"]);
    expect(values).toEqual([[1], ["x"], [2]]);
    expect(({} as Record<string, unknown>)["length"]).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ["text that is no JSON", '{"a": 1}\n{"a": \n', /line 2: not JSON/],
    ["a list of rows", "[1, 2]\n", /line 1: not an object/],
    ["a key that comes late", `${'{"a":1}\n'.repeat(1000)}{"a":1,"b":2}\n`, /line 1001: the key "b"/],
    ["numbers beyond 64-bit floats", '{"a": 1}\n{"a": 1e999}\n', /line 2: "a" is beyond/],
    ["lists of strings", '{"a": ["x"]}\n', /line 1: "a" is a list of something else/],
    ["lists of different lengths", '{"a": [[1, 2], [3]]}\n', /line 1: "a" has lists of different lengths/],
    ["tensors of different shapes", '{"a": [1, 2]}\n{"a": [1]}\n', /line 2: "a" is not a list of 2 numbers/],
    ["a missing tensor", '{"a": [1, 2]}\n{"b": 1}\n', /line 2: "a" is not a list of 2 numbers/],
    ["a name for two values", '{"a": {"b": 1}, "a.b": 2}\n', /line 1: two values for "a.b"/],
    ["deep objects", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}\n`, /line 1: objects inside of objects/],
    ["deep lists", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}\n`, /line 1: "a" has lists more than/],
    ["nothing", "\n\n", /no rows/],
  ])("refuses %s, and says where", async (_, text, message) => {
    const error = await fail(text);
    expect(error.code).toBe("BadFile");
    expect(error.message).toMatch(message);
    expect(error.message).toContain("rows.jsonl");
  });
});

describe("plain text", () => {
  it("has one row for each line, empty ones too", async () => {
    const { reader, values, blocks } = await read("one\r\n\n  three \nfour", "a.txt");
    expect(reader.columns).toEqual([{ name: "text", kind: "cells" }]);
    expect(values).toEqual([["one", "", "  three ", "four"]]);
    expect(blocks[0]!.locate(3)).toBe("line 4");
  });
});

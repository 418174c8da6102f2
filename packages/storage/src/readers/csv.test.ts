import fc from "fast-check";
import Papa from "papaparse";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StorageError } from "../errors.ts";
import { openTestFolder, readAll, type TestFolder } from "../testing-files.ts";
import type { OpenOptions } from "./input.ts";
import type { Cell } from "./reader.ts";

let folder: TestFolder;
beforeAll(async () => {
  folder = await openTestFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

let files = 0;
const read = async (content: string | Uint8Array, options: OpenOptions = {}, name = "table.csv") =>
  readAll(await folder.write(`${files++}-${name}`, content), options);
const rowsOf = async (content: string | Uint8Array, options: OpenOptions = {}, name?: string) => {
  const { reader, values } = await read(content, options, name);
  const rows = (values[0] ?? []).map((_, row) => values.map((column) => column[row]));
  return { names: reader.columns.map((column) => column.name), rows };
};

describe("tables of text", () => {
  it("takes a first line of names as the header, empty cells as missing", async () => {
    expect(await rowsOf("a,b\n1,x\n,2.5\n")).toEqual({
      names: ["a", "b"],
      rows: [
        ["1", "x"],
        [null, "2.5"],
      ],
    });
  });

  it("names the columns c1, c2 where the first line has numbers", async () => {
    expect(await rowsOf("1,x\n2,y")).toEqual({
      names: ["c1", "c2"],
      rows: [
        ["1", "x"],
        ["2", "y"],
      ],
    });
  });

  it("does as it is told about the header, the delimiter and lines to leave out", async () => {
    const text = "made by a machine\na:b\nc:d\n";
    expect(await rowsOf(text, { skip: 1, header: false, delimiter: ":" })).toEqual({
      names: ["c1", "c2"],
      rows: [
        ["a", "b"],
        ["c", "d"],
      ],
    });
    expect(await rowsOf("1,2\n3,4\n", { header: true })).toEqual({ names: ["1", "2"], rows: [["3", "4"]] });
  });

  it.each([",", ";", "\t", "|"])("finds the delimiter %j", async (delimiter) => {
    const text = `x${delimiter}text\n1${delimiter}"a,b;c\td|e"\n`;
    expect(await rowsOf(text)).toEqual({ names: ["x", "text"], rows: [["1", "a,b;c\td|e"]] });
  });

  it("keeps quotes, ends of lines and delimiters in quoted cells, and drops the byte order mark and empty lines", async () => {
    const text = '\uFEFFa,b\r\n\r\n"1 ""one""","two\r\nlines, one cell"\r\n5" pipe,""\n\n\n';
    const { blocks } = await read(text);
    expect(blocks[0]!.columns.map(({ values }) => values)).toEqual([
      ['1 "one"', '5" pipe'],
      ["two\r\nlines, one cell", null],
    ]);
    expect([0, 1].map((row) => blocks[0]!.locate(row))).toEqual(["line 3", "line 5"]);
  });

  it("tells an empty cell in quotes from an empty line, and a carriage return in quotes from one between cells", async () => {
    expect((await rowsOf('name\r\nx\n\n""\n\r\n"a\rb"\r\ny\r')).rows).toEqual([["x"], [null], ["a\rb"], ["y"]]);
  });

  it("reads what another library wrote, whatever is in the cells", async () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "1", " ", ",", ";", '"', "\n", "\r\n", "é", "🙂", "."),
      maxLength: 8,
    });
    const table = fc
      .integer({ min: 2, max: 5 })
      .chain((width) =>
        fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 20 }),
      );
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom("\n", "\r\n"), async (rows, newline) => {
        const text = Papa.unparse(rows, { newline, quotes: true });
        const found = await rowsOf(text, { header: false, delimiter: "," });
        expect(found.rows).toEqual(rows.map((row) => row.map((value): Cell => (value === "" ? null : value))));
      }),
      { numRuns: 50 },
    );
  });

  it("agrees with another library on tables of many blocks", async () => {
    const rows = Array.from({ length: 30_000 }, (_, row) => [
      `${row}`,
      row % 7 === 0 ? "" : `"q${row}\n"`,
      "x".repeat(row % 50),
    ]);
    const text = `id,quoted,text\n${Papa.unparse(rows)}`;
    const { values, blocks } = await read(text);
    expect(values[0]!.length).toBe(30_000);
    expect(values[1]).toEqual(rows.map((row) => row[1] || null));
    expect(values[2]).toEqual(rows.map((row) => row[2] || null));
    expect(Math.max(...blocks.map((block) => block.rows))).toBeLessThanOrEqual(4096);
    const last = blocks.at(-1)!;
    const lines = text.split("\n");
    const place = Number(/^line (\d+)$/.exec(last.locate(last.rows - 1))![1]);
    expect(lines[place - 1]).toMatch(/^29999,/);
  });

  it.each<[string, string | Uint8Array, string, RegExp]>([
    ["a row with a cell too few", "a,b\n1,2\n3\n", "BadFile", /line 3: expected 2 cells, found 1/],
    ["a row with a cell too many", "1,2\n3,4\n\n5,6,7\n", "BadFile", /line 4: expected 2 cells, found 3/],
    ["another number of cells in the first line", "note\n1,2\n3,4\n", "BadFile", /line 2: 2 cells, but 1 in line 1/],
    ["a quote that is not closed", 'a,b\n1,"2\n3,4\n', "BadFile", /line 2: a quote is opened and never closed/],
    ["text behind a quoted cell", 'a,b\n1,"2"x\n', "BadFile", /line 2: something stands between/],
    ["text behind a cell of several lines", 'a,b\n1,"2\n3"x\n', "BadFile", /line 3: something stands between/],
    ["a space behind a quoted cell", 'a,b\n1,5" pipe\n"2" ,3\n', "BadFile", /line 3: something stands between/],
    ["a quoted cell that is followed by quotes", 'a,b\n1,"2"x""y"\n', "BadFile", /line 2: something stands between/],
    ["a carriage return behind a quoted cell", 'a,b\n"1"\r,2\n', "BadFile", /line 2: a carriage return/],
    ["a carriage return before a line", "a,b\n1,2\n\r3,4\n", "BadFile", /line 3: a carriage return/],
    ["a carriage return inside of a line", "a,b\n1,2\rx\n", "BadFile", /line 2: a carriage return/],
    ["bytes that are no UTF-8", Uint8Array.of(97, 44, 98, 10, 0xe9, 44, 50, 10), "BadFile", /line 2: not UTF-8/],
    ["a NUL byte", "a,b\n1,2\n3,\0\n", "BadFile", /line 3: a NUL byte/],
    ["a name for two columns", "a,a\n1,2\n", "BadFile", /line 1: two columns are named "a"/],
    ["too many columns", `${",".repeat(8192)}\n`, "BadFile", /line 1: 8193 cells, at most 8192/],
    ["a line that is too long", `a,b\n1,${"x".repeat(2 ** 24 + 300_000)}\n`, "TooLarge", /line 2: longer than/],
    [
      "a quoted cell that is too long",
      `a,b\n1,"${"x\n".repeat(2 ** 23 + 400_000)}"\n`,
      "TooLarge",
      /line 2: longer than/,
    ],
    ["UTF-16", Uint8Array.of(0xff, 0xfe, 97, 0, 44, 0), "UnsupportedFile", /UTF-16/],
    ["nothing", "", "BadFile", /no rows/],
  ])("refuses %s, and says where", async (_, content, code, message) => {
    const header = code === "BadFile" && /two columns/.test(message.source) ? { header: true } : {};
    const error = await read(content, header).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(StorageError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as Error).message).toContain("table.csv");
  });

  it("suggests to leave out a first line that is not of the table", async () => {
    await expect(read("42,extra,x\n1,2\n3,4\n")).rejects.toMatchObject({ hint: expect.stringContaining("skip: 1") });
  });

  it("reads scikit-learn's files with the names of their classes, and counts their rows", async () => {
    const text = "3,2,setosa,virginica\n5.1,3.5,0\n4.9,3.0,1\n4.7,3.2,0\n";
    const { reader, values } = await read(text);
    expect(reader).toMatchObject({ rows: 3, classes: ["setosa", "virginica"] });
    expect(reader.columns.map(({ name }) => name)).toEqual(["c1", "c2", "label"]);
    expect(values[2]).toEqual(["setosa", "virginica", "setosa"]);
    await expect(read(text.replace("3,2", "4,2"))).rejects.toMatchObject({
      message: expect.stringMatching(/line 1: it announces 4 rows, but there are 3/),
    });
  });

  it("stops when it is told to", async () => {
    const file = await folder.write("stopped.csv", "a,b\n1,2\n");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(readAll(file, { signal })).rejects.toThrow("enough");
  });
});

import { expect, it } from "vitest";
import { openTestFolder, readAll } from "../testing-files.ts";
import { openReader } from "./open.ts";

it("lists what is read where a format is not known", async () => {
  await using folder = await openTestFolder();
  const file = await folder.write("data.xyz", "1\n");
  await expect(openReader(file)).rejects.toMatchObject({
    code: "UnsupportedFile",
    hint: expect.stringMatching(/CSV \(\.csv\).*plain text \(\.txt\)/),
  });
  expect((await readAll(file, { format: "csv" })).values).toEqual([["1"]]);
});

it("says that a file is missing", async () => {
  await expect(openReader("/nowhere/data.csv")).rejects.toMatchObject({ code: "FileNotFound" });
});

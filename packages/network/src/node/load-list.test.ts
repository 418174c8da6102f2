import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadList } from "./load-list.ts";

let server: http.Server;
let url: string;
let folder: string;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-list-"));
  server = http.createServer((request, response) => {
    if (request.url === "/list") response.end("a list");
    else if (request.url === "/endless") response.end(Buffer.alloc(70_000));
    else if (request.url === "/moved") response.writeHead(302, { location: "/list" }).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  fs.rmSync(folder, { recursive: true });
});

const { signal } = new AbortController();
const failing = (source: string, code: string) =>
  expect(loadList(source, signal)).rejects.toMatchObject({ name: "NetworkError", code });

test("a list is read from a file or from a server", async () => {
  const file = path.join(folder, "list.json");
  fs.writeFileSync(file, "a list");
  for (const source of [file, `${url}/list`])
    expect(Buffer.from(await loadList(source, signal)).toString()).toBe("a list");
});

test("what is missing, too large, moved elsewhere or only served over plain http is a clear error", async () => {
  fs.writeFileSync(path.join(folder, "large"), Buffer.alloc(70_000));
  await failing(path.join(folder, "nothing"), "NotFound");
  await failing(path.join(folder, "large"), "TooLarge");
  await failing(`${url}/nothing`, "NotFound");
  await failing(`${url}/endless`, "TooLarge");
  await failing(`${url}/moved`, "NotFound");
  for (const host of ["relays.example", "127.relays.example"]) await failing(`http://${host}/list`, "BadOption");
  await failing("http://127.0.0.1:1/", "NotFound");
});

import http from "node:http";
import type { AddressInfo } from "node:net";
import { skynetAddresses } from "@skynet/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { openIndex } from "./open-index.ts";

let server: http.Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const { jobBoard } = skynetAddresses();
const status = {
  chainId: 31337,
  contracts: { jobBoard },
  block: null,
  head: 0,
  caughtUp: true,
  reorgs: 0,
  trouble: null,
  counts: {},
};

/** A server of a stranger: a real one, that says what the test wants. */
async function stranger(handle: http.RequestListener): Promise<string> {
  server = http.createServer((request, response) => {
    if (request.url === "/v1/status") response.end(JSON.stringify(status));
    else handle(request, response);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("an index that cannot be trusted", () => {
  it("nothing answers: a clear error with what to do", async () => {
    await expect(openIndex({ url: "http://127.0.0.1:1" })).rejects.toMatchObject({
      code: "IndexUnreachable",
      hint: expect.stringContaining("npx skynet index"),
    });
  });

  it.each(["", "not an address", "ftp://127.0.0.1", "http://user:secret@127.0.0.1", "file:///etc/passwd"])(
    "%j is no address",
    async (url) => {
      await expect(openIndex({ url })).rejects.toMatchObject({ code: "BadIndexUrl" });
    },
  );

  it.each([
    ["a page", "<html></html>"],
    ["half of the JSON", '{"items":['],
    ["another form", '{"items":[{"id":5}],"next":null}'],
    ["too many entries", JSON.stringify({ items: Array.from({ length: 300 }, () => ({})), next: null })],
  ])("%s instead of an answer", async (_what, body) => {
    const index = await openIndex({ url: await stranger((_request, response) => response.end(body)) });
    await expect(index.jobs()).rejects.toMatchObject({ code: "IndexAnswer" });
  });

  it("an endless answer is cut off", async () => {
    const url = await stranger((_request, response) => {
      const timer = setInterval(() => response.write("x".repeat(100_000)), 1);
      response.on("close", () => clearInterval(timer));
    });
    const index = await openIndex({ url, maxBytes: 1_000_000 });
    await expect(index.jobs()).rejects.toMatchObject({ code: "IndexAnswer" });
  });

  it("silence ends with the time limit, and a redirection is not followed", async () => {
    const silent = await openIndex({ url: await stranger(() => undefined), timeoutMs: 200 });
    await expect(silent.jobs()).rejects.toMatchObject({ code: "IndexUnreachable" });
    server!.closeAllConnections();
    server!.close();
    const url = await stranger((_request, response) => response.writeHead(302, { location: "/v1/status" }).end());
    await expect((await openIndex({ url })).jobs()).rejects.toMatchObject({ code: "IndexUnreachable" });
  });

  it("errors and names cannot steer a terminal", async () => {
    const error = { code: "X\u001b[2J", message: "\u001b]0;title\u0007bad\u202E", hint: "a\nb" };
    const url = await stranger((_request, response) => response.writeHead(400).end(JSON.stringify({ error })));
    const refused = (await (await openIndex({ url })).jobs().catch((cause: unknown) => cause)) as Error & {
      hint: string;
    };
    expect(refused.message).toBe("the index refused: ]0;titlebad");
    expect(refused.hint).toBe("a b");
  });

  it("another chain or version is refused", async () => {
    const url = await stranger(() => undefined);
    await expect(openIndex({ url, chainId: 1 })).rejects.toMatchObject({ code: "WrongIndex" });
    status.contracts.jobBoard = `0x${"1".repeat(40)}`;
    await expect(openIndex({ url })).rejects.toMatchObject({ code: "WrongIndex" });
    status.contracts.jobBoard = jobBoard;
  });
});

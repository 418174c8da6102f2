import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createPinningService, type RemotePin } from "./pinning-service.ts";
import { startTestService, TEST_KEY, type Fault, type TestService } from "./testing-service.ts";

const CIDS = [
  "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
] as const;
const ORIGIN = "/dns4/node.example.com/tcp/4001/p2p/12D3KooWExample";
const http = { backoffMs: 1, idleMs: 300, maxWaitMs: 100 };
let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());
beforeEach(() => {
  service.pins.length = 0;
  service.requests.length = 0;
  service.fault = undefined;
});

const client = (token = TEST_KEY) => createPinningService({ base: service.url, token, http, pollMs: 1, maxPollMs: 1 });
const once = (fault: Fault) => {
  let left = 1;
  service.fault = () => (left-- > 0 ? fault : undefined);
};

describe("pins", () => {
  it("are asked for with the node's addresses and followed until they are there", async () => {
    const pin = await client().pin({ cid: CIDS[0], name: "data", origins: [ORIGIN] });
    expect(JSON.parse(service.requests.at(-1)!.body)).toEqual({ cid: CIDS[0], name: "data", origins: [ORIGIN] });
    expect(pin).toMatchObject({
      cid: CIDS[0],
      name: "data",
      status: "queued",
      details: "Queue position: 7 of 9",
      bytes: 1234,
      delegates: ["/ip4/203.0.113.1/tcp/4001/p2p/QmServicePeerId"],
    });
    const seen: RemotePin[] = [];
    await client().wait(pin.id, { onStatus: (status) => seen.push(status) });
    expect(seen.map(({ status }) => status)).toEqual(["queued", "pinning", "pinned"]);
  });

  it("are made once for a CID that is there or on its way", async () => {
    const first = await client().pin({ cid: CIDS[0] });
    expect((await client().pin({ cid: CIDS[0] })).id).toBe(first.id);
    expect(service.pins).toHaveLength(1);
  });

  it("that the service gives up fail with its reason", async () => {
    const { id } = await client().pin({ cid: CIDS[0], name: "cannot be found" });
    await expect(client().wait(id)).rejects.toMatchObject({
      code: "PinFailed",
      message: expect.stringContaining("no provider was found") as string,
    });
  });

  it("are listed over all pages, the newest first, of every status, or as filtered", async () => {
    for (let i = 0; i < 5; i++) service.pins.push(pinAt(i, i === 2 ? "failed" : "pinned"));
    const ids = async (filter?: object) => (await Array.fromAsync(client().list(filter))).map(({ id }) => id);
    expect(await ids()).toEqual(["p4", "p3", "p2", "p1", "p0"]);
    expect(await ids({ status: ["failed"] })).toEqual(["p2"]);
    expect(await ids({ name: "n1" })).toEqual(["p1"]);
  });

  it("are replaced and removed", async () => {
    const before = await client().pin({ cid: CIDS[0] });
    const after = await client().replace(before.id, { cid: CIDS[1] });
    expect(after.id).not.toBe(before.id);
    await expect(client().get(before.id)).rejects.toMatchObject({ code: "RemoteMissing" });
    await client().remove(after.id);
    expect(service.pins).toEqual([]);
  });

  it("waiting for one ends when it is told to", async () => {
    const { id } = await client().pin({ cid: CIDS[0] });
    const stop = new AbortController();
    const onStatus = () => stop.abort(new Error("stopped"));
    await expect(client().wait(id, { signal: stop.signal, onStatus })).rejects.toThrow("stopped");
  });
});

describe("errors of a pinning service", () => {
  it("name a wrong token, missing funds, and a bad request, and what the service says", async () => {
    const error: unknown = await client("wrong-token-12")
      .pin({ cid: CIDS[0] })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "WrongApiKey", message: expect.stringContaining("bad token") as string });
    expect(String(error)).not.toContain("wrong-token-12");
    await expect(client().pin({ cid: CIDS[0], name: "too large" })).rejects.toMatchObject({ code: "QuotaExceeded" });
    once({ kind: "status", status: 400, body: '{"error":{"reason":"BAD_REQUEST","details":"\\u001b[31mno"}}' });
    await expect(client().get("x")).rejects.toMatchObject({
      code: "ServiceFailed",
      message: expect.stringContaining("BAD_REQUEST, [31mno") as string,
    });
  });

  it.each<Fault>([
    { kind: "status", status: 429, headers: { "retry-after": "0" } },
    { kind: "status", status: 500, body: '{"error":{"reason":"INTERNAL_SERVER_ERROR"}}' },
    { kind: "truncate" },
    { kind: "stall" },
    { kind: "text", body: '{"requestid":5}' },
  ])("pass: $kind $status", async (fault) => {
    const { id } = await client().pin({ cid: CIDS[0] });
    once(fault);
    expect((await client().get(id)).cid).toBe(CIDS[0]);
  });

  it("refuse what no service would take, without asking", async () => {
    await expect(client().pin({ cid: "nonsense" })).rejects.toMatchObject({ code: "BadCid" });
    const pin = (more: object) => client().pin({ cid: CIDS[0], ...more });
    await expect(pin({ origins: ["/ip4/1.2.3.4/tcp/1"] })).rejects.toMatchObject({ code: "BadMultiaddr" });
    await expect(pin({ name: "x".repeat(256) })).rejects.toMatchObject({ code: "BadName" });
    expect(service.requests).toEqual([]);
  });
});

/** A pin from its request to its removal, at whichever service. The CID is a small text that many nodes have. */
async function roundTrip(base: string, token: string, options: object = {}): Promise<void> {
  const pinning = createPinningService({ base, token, ...options });
  const { id } = await pinning.pin({ cid: CIDS[0], name: "skynet-test" });
  expect((await pinning.wait(id)).status).toBe("pinned");
  expect((await Array.fromAsync(pinning.list({ cid: CIDS[0] }))).map((pin) => pin.id)).toContain(id);
  await pinning.remove(id);
  expect((await Array.fromAsync(pinning.list({ cid: CIDS[0] }))).map((pin) => pin.id)).not.toContain(id);
}

describe("a round trip of a pin", () => {
  it("at the local server", () => roundTrip(service.url, TEST_KEY, { http, pollMs: 1, maxPollMs: 1 }));

  const { SKYNET_PINNING_TEST_URL: url, SKYNET_PINNING_TEST_TOKEN: token } = process.env;
  it.skipIf(!url || !token)(
    "at a real service (skipped unless SKYNET_PINNING_TEST_URL and SKYNET_PINNING_TEST_TOKEN name one)",
    { timeout: 600_000 },
    () => roundTrip(url!, token!),
  );
});

function pinAt(index: number, status: string) {
  const created = new Date(1_700_000_000_000 + index * 1000).toISOString();
  return { requestid: `p${index}`, status, created, pin: { cid: CIDS[0], name: `n${index}` }, delegates: [], info: {} };
}

import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { generateDataKey } from "../age.ts";
import { retryAfterMs } from "./answer-error.ts";
import { downloadFile } from "./download.ts";
import { createGateways, type Gateways } from "./gateway.ts";
import type { HttpOptions } from "./http.ts";
import { createLighthouse, filecoinDeals, type LighthouseOptions } from "./lighthouse.ts";
import {
  startTestService,
  TEST_KEY,
  type Fault,
  type TestService,
  type TestServiceOptions,
} from "./testing-service.ts";
import { fileCid, LAYOUTS } from "./unixfs.ts";
import { uploadFile, type UploadOptions } from "./upload.ts";

const PART = 64 * 1024;
const quick: HttpOptions = { backoffMs: 1, maxWaitMs: 2000, idleMs: 300, random: () => 0.5 };
let dir: string;
const services: TestService[] = [];

beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-remote-"));
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
  await fs.rm(dir, { recursive: true, force: true });
});

async function setup(options: TestServiceOptions = {}) {
  const service = await startTestService(options);
  services.push(service);
  const retries: string[] = [];
  const waits: number[] = [];
  const onRetry: HttpOptions["onRetry"] = ({ reason, waitMs }) => {
    retries.push(reason);
    waits.push(waitMs);
  };
  const http = { ...quick, onRetry };
  const lighthouse = createLighthouse({ apiKey: TEST_KEY, apiBase: service.url, uploadBase: service.url, http });
  const upload = (file: string, more: Partial<UploadOptions> = {}) =>
    uploadFile({ file, stateDir: path.join(dir, "state"), target: lighthouse.target, partBytes: PART, ...more });
  const gateways = createGateways({ gateways: [service.url], http });
  const download = (cid: string, identity?: string) =>
    downloadFile({ cid, file: path.join(dir, "out"), gateways, identity: async () => identity!, overwrite: true });
  return { service, lighthouse, upload, download, gateways, retries, waits, http };
}

async function newFile(bytes: number, name = "data.bin"): Promise<string> {
  const file = path.join(dir, name);
  await fs.writeFile(file, randomBytes(bytes));
  return file;
}

const hashOf = async (file: string) =>
  createHash("sha256")
    .update(await fs.readFile(file))
    .digest("hex");
/** One fault for the n-th upload of a part. */
const onAdd = (at: number, fault: Fault) => {
  let adds = 0;
  return ({ path: asked }: { path: string }) => (asked === "/api/v0/add" && adds++ === at ? fault : undefined);
};
const partsOf = ({ stored }: TestService) => stored.filter(({ name }) => name.includes(".part-"));

describe("CIDs of files", () => {
  it("are those of the IPFS daemon with cid-version=1", async () => {
    // `echo -n hello | ipfs add --cid-version=1`, and an empty file.
    expect(await fileCid([new TextEncoder().encode("hello")])).toBe(
      "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
    );
    expect(await fileCid([])).toBe("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
  });
});

describe("Retry-After", () => {
  it("is seconds or a date, and anything else is nothing", () => {
    const now = Date.parse("2026-03-01T10:00:00Z");
    expect(retryAfterMs("120", now)).toBe(120_000);
    expect(retryAfterMs("Sun, 01 Mar 2026 10:00:30 GMT", now)).toBe(30_000);
    expect(retryAfterMs("Sun, 01 Mar 2026 09:00:00 GMT", now)).toBe(0);
    expect(retryAfterMs("soon", now)).toBeUndefined();
    expect(retryAfterMs(null, now)).toBeUndefined();
  });
});

describe("upload and download", () => {
  it("bring a file back unchanged, encrypted for its owner, and remove the encrypted copy", async () => {
    const { service, upload, download } = await setup();
    const file = await newFile(5 * PART + 17, "secret plan.csv");
    const { identity, recipient } = await generateDataKey();
    const uploaded = await upload(file, { recipients: [recipient] });
    expect(uploaded).toMatchObject({ encrypted: true, size: 5 * PART + 17, resumedParts: 0 });
    expect(JSON.stringify(service.stored)).not.toContain("secret plan");
    expect(await fs.readdir(path.join(dir, "state"))).toEqual([]);
    await expect(download(uploaded.cid, (await generateDataKey()).identity)).rejects.toMatchObject({
      code: "CannotDecrypt",
    });
    expect(await fs.readdir(dir)).not.toContain("out");
    const downloaded = await download(uploaded.cid, identity);
    // The encrypted parts of the failed try are used.
    expect(downloaded).toMatchObject({ encrypted: true, resumedBytes: uploaded.storedBytes });
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
    expect((await fs.readdir(dir)).sort()).toEqual(["out", "secret plan.csv", "state"]);
  });

  it("public files keep their name and are read through gateways that send files only, or blocks", async () => {
    const { service, upload, download } = await setup();
    const file = await newFile(3 * PART);
    const { cid, parts } = await upload(file);
    expect(parts).toHaveLength(3);
    expect(
      partsOf(service)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([1, 2, 3].map((n) => `data.bin.part-${n}-of-3`));
    await download(cid);
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
    const plain = await setup({ gateway: "files" });
    for (const part of parts) await plain.service.blocks.add(await service.blocks.file(part));
    expect(await plain.service.blocks.add(await service.blocks.file(cid))).toBe(cid);
    await plain.download(cid);
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
  });

  it.each([0, 1])("an upload of %i bytes is a file, too", async (bytes) => {
    const { upload, download } = await setup();
    const file = await newFile(bytes);
    const { recipient, identity } = await generateDataKey();
    for (const recipients of [undefined, [recipient]]) {
      await download((await upload(file, { recipients })).cid, identity);
      expect((await fs.readFile(path.join(dir, "out"))).length).toBe(bytes);
    }
  });

  it("files of IPFS that others have added come block by block, in both layouts", async () => {
    const { service, download } = await setup();
    const content = new Uint8Array(randomBytes(3_000_000));
    for (const layout of LAYOUTS) {
      await download(await service.blocks.add(content, layout));
      expect(Buffer.compare(await fs.readFile(path.join(dir, "out")), content)).toBe(0);
    }
    expect(service.requests.every(({ path: asked }) => asked.endsWith("?format=raw"))).toBe(true);
  });

  it("counts every byte of progress up to the whole, never backwards", async () => {
    const { upload } = await setup({ fault: onAdd(1, { kind: "status", status: 503 }) });
    const file = await newFile(4 * PART);
    const seen: number[] = [];
    await upload(file, { concurrency: 1, onProgress: ({ doneBytes }) => seen.push(doneBytes) });
    expect(seen.at(-1)).toBe(4 * PART);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.length).toBeGreaterThan(8);
  });
});

describe("an upload goes on", () => {
  it.each<[string, Fault]>([
    ["a status 503", { kind: "status", status: 503 }],
    ["a status 429 that says when", { kind: "status", status: 429, headers: { "retry-after": "0" } }],
    ["a cut answer", { kind: "truncate" }],
    ["a reset in the middle of a part", { kind: "reset", afterBytes: PART / 2 }],
    ["a service that stalls", { kind: "stall" }],
    ["a service that stalls in its answer", { kind: "stall-midway" }],
    ["the answer of a proxy", { kind: "text", body: "<html>Sign in</html>", type: "text/html" }],
    ["JSON of another form", { kind: "text", body: '{"Name":1,"Hash":null}' }],
    ["another CID", { kind: "wrong-cid" }],
  ])("after %s", async (_, fault) => {
    const { service, upload, retries, waits } = await setup({ fault: onAdd(1, fault) });
    const file = await newFile(3 * PART);
    const { parts } = await upload(file);
    expect(retries).toHaveLength(1);
    expect(Buffer.concat(await Promise.all(parts.map((cid) => service.blocks.file(cid))))).toEqual(
      await fs.readFile(file),
    );
    expect(waits[0]).toBe("headers" in fault ? 0 : 0.75);
  });

  it("where it ended, without sending finished parts again", async () => {
    const { service, upload } = await setup();
    const file = await newFile(6 * PART);
    service.fault = ({ path: asked }) =>
      asked === "/api/v0/add" && partsOf(service).length >= 3 ? { kind: "status", status: 400 } : undefined;
    await expect(upload(file, { concurrency: 1 })).rejects.toMatchObject({ code: "UploadFailed" });
    service.fault = undefined;
    expect(await upload(file)).toMatchObject({ resumedParts: 3 });
    const cids = partsOf(service).map(({ cid }) => cid);
    expect(new Set(cids).size).toBe(6);
    expect(cids).toHaveLength(6);
  });

  it("with a changed file: parts that stayed the same are not sent again, encrypted ones all are", async () => {
    const { service, upload, download } = await setup();
    const file = await newFile(4 * PART);
    const { recipient, identity } = await generateDataKey();
    for (const recipients of [undefined, [recipient]]) {
      service.stored.length = 0;
      service.fault = ({ path: asked }) =>
        asked === "/api/v0/add" && partsOf(service).length >= 2 ? { kind: "status", status: 400 } : undefined;
      await expect(upload(file, { concurrency: 1, recipients })).rejects.toMatchObject({ code: "UploadFailed" });
      const handle = await fs.open(file, "r+");
      await handle.write(randomBytes(16), 0, 16, 5);
      await handle.close();
      service.fault = undefined;
      const uploaded = await upload(file, { recipients });
      expect(uploaded.resumedParts).toBe(recipients === undefined ? 1 : 0);
      await download(uploaded.cid, identity);
      expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
    }
  });

  it("with a new encrypted copy when somebody removed the first: all is sent again, and fits together", async () => {
    const { service, upload, download } = await setup();
    const file = await newFile(4 * PART);
    const { recipient, identity } = await generateDataKey();
    service.fault = ({ path: asked }) =>
      asked === "/api/v0/add" && partsOf(service).length >= 2 ? { kind: "status", status: 400 } : undefined;
    const recipients = [recipient];
    await expect(upload(file, { concurrency: 1, recipients })).rejects.toMatchObject({ code: "UploadFailed" });
    service.fault = undefined;
    const state = path.join(dir, "state");
    for (const name of await fs.readdir(state, { recursive: true }))
      if (name.endsWith(".age")) await fs.rm(path.join(state, name));
    const uploaded = await upload(file, { recipients });
    expect(uploaded.resumedParts).toBe(0);
    await download(uploaded.cid, identity);
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
  });

  it("when the service cannot tell how much room is left", async () => {
    const { service, upload } = await setup();
    service.fault = ({ path: asked }) =>
      asked === "/api/user/user_data_usage" ? { kind: "status", status: 500 } : undefined;
    expect((await upload(await newFile(2 * PART))).parts).toHaveLength(2);
  });

  it("not with a folder, or with what is not there", async () => {
    const { upload, service } = await setup();
    await expect(upload(dir)).rejects.toMatchObject({ code: "FileNotFound" });
    await expect(upload(path.join(dir, "none"))).rejects.toMatchObject({ code: "FileNotFound" });
    expect(service.requests).toEqual([]);
  });

  it("not when the file changes in the middle", async () => {
    const { service, upload } = await setup();
    const file = await newFile(3 * PART);
    service.fault = ({ path: asked }) => {
      if (asked === "/api/v0/add") void fs.appendFile(file, "x");
      return undefined;
    };
    await expect(upload(file)).rejects.toMatchObject({ code: "FileChanged" });
  });
});

describe("an upload ends with a named error", () => {
  it("when the key is wrong, before anything is sent, and no error tells the key", async () => {
    const { service } = await setup();
    const apiKey = "wrong-key-77";
    const { target } = createLighthouse({ apiKey, apiBase: service.url, uploadBase: service.url, http: quick });
    const error: unknown = await uploadFile({ file: await newFile(10), stateDir: dir, target }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: "WrongApiKey" });
    expect((error as Error).message + (error as Error).stack).not.toContain(apiKey);
    expect(service.requests.map(({ path: asked }) => asked)).toEqual(["/api/user/user_data_usage"]);
  });

  it("when a service repeats the key in its error", async () => {
    const { upload } = await setup({
      fault: onAdd(0, { kind: "status", status: 400, body: `no such key ${TEST_KEY}` }),
    });
    const error: unknown = await upload(await newFile(10)).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "UploadFailed", message: expect.stringContaining("(key)") as string });
    expect(String(error)).not.toContain(TEST_KEY);
  });

  it("when there is no room, told at once, or by the service in the middle", async () => {
    const { service, upload, lighthouse } = await setup({ limit: 3 * PART });
    await expect(upload(await newFile(4 * PART))).rejects.toMatchObject({ code: "QuotaExceeded" });
    expect(service.stored).toEqual([]);
    expect(await lighthouse.quota()).toEqual({ limit: 3 * PART, used: 0, remaining: 3 * PART });
    const late = await newFile(3 * PART, "late");
    service.fault = ({ path: asked }) => {
      if (asked === "/api/v0/add" && service.stored.length === 1) service.used = 3 * PART;
      return undefined;
    };
    await expect(upload(late)).rejects.toMatchObject({ code: "QuotaExceeded" });
  });

  it("when the service stays broken, lies, or asks for more patience than there is", async () => {
    const { service, upload, retries } = await setup();
    const file = await newFile(10);
    const on =
      (fault: Fault) =>
      ({ path: asked }: { path: string }) =>
        asked === "/api/v0/add" ? fault : undefined;
    service.fault = on({ kind: "status", status: 503 });
    await expect(upload(file)).rejects.toMatchObject({
      code: "UploadFailed",
      message: expect.stringContaining("6 tries") as string,
    });
    expect(retries).toHaveLength(5);
    service.fault = on({ kind: "wrong-cid" });
    await expect(upload(file)).rejects.toMatchObject({ code: "BadAnswer" });
    service.fault = on({ kind: "status", status: 429, headers: { "retry-after": "3600" } });
    await expect(upload(file)).rejects.toThrow("3600 s");
    service.fault = on({ kind: "text", body: new Uint8Array(3 << 20) });
    await expect(upload(file)).rejects.toMatchObject({ code: "BadAnswer" });
    service.fault = on({ kind: "status", status: 302, headers: { location: "http://127.0.0.1:1/" } });
    await expect(upload(file)).rejects.toMatchObject({ code: "BadAnswer" });
  });

  it("when it is stopped, and goes on afterwards", async () => {
    const { service, upload } = await setup();
    const file = await newFile(8 * PART);
    const stop = new AbortController();
    service.fault = () => {
      if (partsOf(service).length === 3) stop.abort(new Error("stopped"));
      return undefined;
    };
    await expect(upload(file, { signal: stop.signal, concurrency: 1 })).rejects.toThrow("stopped");
    service.fault = undefined;
    expect((await upload(file)).resumedParts).toBeGreaterThanOrEqual(3);
  });

  it("when an address would send the key in the clear", () => {
    const at = (apiBase: string) => () => createLighthouse({ apiKey: "k", apiBase });
    expect(at("http://example.com")).toThrow("must begin with https://");
    expect(at("https://user:secret@example.com")).toThrow("password");
    expect(at("nonsense")).toThrow("is none");
    expect(() => createLighthouse({ apiKey: "two\nlines" })).toThrow("no key of Lighthouse");
  });
});

describe("a download", () => {
  it.each<[string, Fault]>([
    ["a status 503", { kind: "status", status: 503 }],
    ["a cut answer", { kind: "truncate" }],
    ["a gateway that stalls", { kind: "stall-midway" }],
    ["a wrong block", { kind: "text", body: "wrong", type: "application/vnd.ipld.raw" }],
  ])("goes on after %s", async (_, fault) => {
    const { service, upload, download } = await setup();
    const file = await newFile(3 * PART);
    const { cid } = await upload(file);
    const before = service.requests.length;
    service.fault = ({ count }) => (count === before || count === before + 2 ? fault : undefined);
    await download(cid);
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
  });

  it("asks the next gateway when one lacks the file or lies, and says so when none has it", async () => {
    const { service, upload, http } = await setup();
    const empty = await startTestService();
    services.push(empty);
    const liar = await startTestService({
      fault: () => ({ kind: "text", body: "lies", type: "application/octet-stream" }),
    });
    services.push(liar);
    const file = await newFile(2 * PART);
    const { cid } = await upload(file);
    const out = path.join(dir, "out");
    const from = (urls: string[]) =>
      downloadFile({ cid, file: out, gateways: createGateways({ gateways: urls, http }), overwrite: true });
    await from([empty.url, liar.url, service.url]);
    expect(await hashOf(out)).toBe(await hashOf(file));
    await fs.rm(out);
    await expect(from([empty.url])).rejects.toMatchObject({ code: "RemoteMissing" });
    await expect(from([liar.url])).rejects.toMatchObject({ code: "BadAnswer" });
    await expect(from([empty.url, liar.url])).rejects.toMatchObject({ code: "BadAnswer" });
    expect(await fs.readdir(dir)).not.toContain("out");
  });

  it("goes on where it ended, after it has looked at what is there", async () => {
    const { service, upload, download } = await setup();
    const file = await newFile(6 * PART);
    const { cid, parts } = await upload(file);
    service.fault = ({ path: asked }) => (asked === `/ipfs/${parts[5]}` ? { kind: "status", status: 404 } : undefined);
    await expect(download(cid)).rejects.toMatchObject({ code: "RemoteMissing" });
    service.fault = undefined;
    const growing = await fs.open(path.join(dir, "out.download"), "r+");
    await growing.write(randomBytes(8), 0, 8, PART + 5);
    await growing.close();
    expect((await download(cid)).resumedBytes).toBe(4 * PART);
    expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
  });

  it("refuses a file that is there, one that is too large, and a list of parts that lies about them", async () => {
    const { service, upload, gateways } = await setup();
    const file = await newFile(2 * PART);
    const { cid, parts } = await upload(file);
    const get = (more: object) => downloadFile({ cid, file: path.join(dir, "out"), gateways, ...more });
    await expect(get({ file })).rejects.toMatchObject({ code: "FileExists" });
    await expect(get({ maxBytes: PART })).rejects.toMatchObject({ code: "TooLarge" });
    const list = (manifest: object) =>
      service.blocks.add(new TextEncoder().encode(JSON.stringify({ format: "skynet-file", version: 1, ...manifest })));
    const short = await list({ size: 2 * PART - 1, partBytes: PART, encryption: "none", parts });
    await expect(get({ cid: short })).rejects.toMatchObject({ code: "BadAnswer" });
    const few = await list({ size: 2 * PART, partBytes: PART, encryption: "none", parts: parts.slice(1) });
    await expect(get({ cid: few })).rejects.toMatchObject({ code: "BadManifest" });
    await expect(get({ cid: "bafynonsense" })).rejects.toMatchObject({ code: "BadCid" });
    expect(await fs.readdir(dir)).not.toContain("out");
  });
});

describe("the account", () => {
  it("lists all pages, removes, pins, and shows deals", async () => {
    const { service, upload, lighthouse } = await setup();
    await upload(await newFile(7 * PART));
    const listed = await Array.fromAsync(lighthouse.list());
    expect(listed.map(({ cid }) => cid)).toEqual(service.stored.map(({ cid }) => cid));
    expect(listed[0]).toMatchObject({ bytes: PART, createdMs: 1_691_087_810_426 });
    await lighthouse.remove(listed[0]!.id);
    await expect(lighthouse.remove(listed[0]!.id)).rejects.toMatchObject({ code: "RemoteMissing" });
    await lighthouse.pin({ cid: listed[1]!.cid, name: "copy" });
    expect(JSON.parse(service.requests.at(-1)!.body)).toEqual({ cid: listed[1]!.cid, fileName: "copy" });
    expect(await filecoinDeals(listed[1]!.cid, { apiBase: service.url })).toEqual([
      {
        dealId: 74606268,
        provider: "f01771403",
        status: "Sealing: Proving",
        pieceCid: "baga6ea4seaqexample",
        startEpoch: 3714464,
        endEpoch: 4232864,
      },
    ]);
  });
});

/** Everything that a user does with a small file, at whichever service the options name. */
async function roundTrip(options: LighthouseOptions, gateways: Gateways): Promise<void> {
  const lighthouse = createLighthouse(options);
  const { identity, recipient } = await generateDataKey();
  const file = await newFile(1_000_000);
  const { target } = lighthouse;
  const partBytes = 512 * 1024;
  const { cid, parts } = await uploadFile({ file, stateDir: dir, target, partBytes, recipients: [recipient] });
  await downloadFile({ cid, file: path.join(dir, "out"), gateways, identity: async () => identity });
  expect(await hashOf(path.join(dir, "out"))).toBe(await hashOf(file));
  const { limit, used } = await lighthouse.quota();
  expect(limit).toBeGreaterThan(used);
  const ours = (await Array.fromAsync(lighthouse.list())).filter((object) => [...parts, cid].includes(object.cid));
  expect(new Set(ours.map((object) => object.cid))).toEqual(new Set([...parts, cid]));
  for (const { id } of ours) await lighthouse.remove(id);
  await filecoinDeals(cid, options);
}

describe("a round trip of an encrypted file", () => {
  it("at the local server", async () => {
    const { service, gateways } = await setup();
    await roundTrip({ apiKey: TEST_KEY, apiBase: service.url, uploadBase: service.url }, gateways);
    expect(service.stored).toEqual([]);
  });

  const key = process.env.SKYNET_LIGHTHOUSE_TEST_KEY;
  it.skipIf(!key)(
    "at the real Lighthouse (skipped unless SKYNET_LIGHTHOUSE_TEST_KEY is an API key; SKYNET_GATEWAYS names gateways)",
    { timeout: 600_000 },
    async () => {
      const named = process.env.SKYNET_GATEWAYS?.split(",");
      await roundTrip({ apiKey: key! }, createGateways(named === undefined ? {} : { gateways: named }));
    },
  );
});

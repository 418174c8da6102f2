import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { generateDataKey } from "../age.ts";
import { retryAfterMs } from "./answer-error.ts";
import { downloadFile } from "./download.ts";
import { createGateways, type Gateways } from "./gateway.ts";
import { createLighthouse, filecoinDeals, type LighthouseOptions } from "./lighthouse.ts";
import { startTestService, TEST_KEY, type Fault } from "./testing-service.ts";
import { dir, eachInAFolder, hashOf, newFile, onAdd, PART, partsOf, services, setup } from "./testing-transfers.ts";
import { fileCid, LAYOUTS } from "./unixfs.ts";
import { uploadFile } from "./upload.ts";

eachInAFolder();

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

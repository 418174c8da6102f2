import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { generateDataKey } from "../age.ts";
import { createLighthouse } from "./lighthouse.ts";
import { TEST_KEY, type Fault } from "./testing-service.ts";
import { dir, eachInAFolder, hashOf, newFile, onAdd, PART, partsOf, quick, setup } from "./testing-transfers.ts";
import { uploadFile } from "./upload.ts";

eachInAFolder();

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

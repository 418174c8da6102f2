// What the tests of uploads and downloads share: a service, and clients of it.
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import { downloadFile } from "./download.ts";
import { createGateways } from "./gateway.ts";
import type { HttpOptions } from "./http.ts";
import { createLighthouse } from "./lighthouse.ts";
import {
  startTestService,
  TEST_KEY,
  type Fault,
  type TestService,
  type TestServiceOptions,
} from "./testing-service.ts";
import { uploadFile, type UploadOptions } from "./upload.ts";

export const PART = 64 * 1024;
export const quick: HttpOptions = { backoffMs: 1, maxWaitMs: 2000, idleMs: 300, random: () => 0.5 };
/** The folder of the test that runs. */
export let dir: string;
export const services: TestService[] = [];

/** Gives each test of a file a folder, and ends the services that it started. */
export function eachInAFolder(): void {
  beforeEach(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-remote-"));
  });
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.close()));
    await fs.rm(dir, { recursive: true, force: true });
  });
}

export async function setup(options: TestServiceOptions = {}) {
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

export async function newFile(bytes: number, name = "data.bin"): Promise<string> {
  const file = path.join(dir, name);
  await fs.writeFile(file, randomBytes(bytes));
  return file;
}

export const hashOf = async (file: string) =>
  createHash("sha256")
    .update(await fs.readFile(file))
    .digest("hex");
/** One fault for the n-th upload of a part. */
export const onAdd = (at: number, fault: Fault) => {
  let adds = 0;
  return ({ path: asked }: { path: string }) => (asked === "/api/v0/add" && adds++ === at ? fault : undefined);
};
export const partsOf = ({ stored }: TestService) => stored.filter(({ name }) => name.includes(".part-"));

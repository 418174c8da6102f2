import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { SkyNetError } from "@skynet/protocol";
import { downloadFile } from "./download.ts";
import { createGateways } from "./gateway.ts";
import { createLighthouse, filecoinDeals } from "./lighthouse.ts";
import { createPinningService } from "./pinning-service.ts";
import { startTestService, TEST_KEY, type TestService } from "./testing-service.ts";
import { uploadFile } from "./upload.ts";

type Random = (below: number) => number;

const NASTY: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  0.5,
  "",
  "\u001b[2J",
  "x".repeat(100_000),
  [],
  {},
  [[]],
  { __proto__: null },
  "9".repeat(30),
  "../../etc/passwd",
];

/**
 * Every call of the clients gets answers that are wrong in a random way: other types, missing and extra fields, cut and
 * flipped bytes, endless lists. Each ends well or with an error of ours that has a code, soon, and nothing is written to
 * the name of a download unless it is the file.
 * @throws Error on the first call that ends otherwise
 */
export async function fuzzAnswers(options: {
  readonly count: number;
  readonly random: Random;
  readonly onProgress?: ((done: number) => void) | undefined;
}): Promise<Record<string, number>> {
  const { count, random, onProgress } = options;
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-remote-fuzz-"));
  const service = await startTestService();
  const outcomes: Record<string, number> = {};
  try {
    const calls = await prepareCalls(service, dir);
    for (let done = 0; done < count; done++) {
      const call = calls[random(calls.length)]!;
      service.fault = undefined;
      service.used = 0;
      const right = await rightAnswer(service, call, random);
      service.fault = () =>
        random(4) === 0 ? undefined : { kind: "text", body: damage(right, random), type: TYPES[random(TYPES.length)]! };
      const code = await call.run().then(
        () => "ok",
        (error: unknown) => {
          if (error instanceof SkyNetError) return error.code;
          throw new Error(`call ${call.name} after ${done} others ended with an error that has no code`, {
            cause: error,
          });
        },
      );
      outcomes[code] = (outcomes[code] ?? 0) + 1;
      onProgress?.(done + 1);
    }
    return outcomes;
  } finally {
    await service.close();
    await fs.rm(dir, { recursive: true, force: true });
  }
}

const TYPES = ["application/json", "application/vnd.ipld.raw", "application/vnd.ipld.car", "application/octet-stream"];

interface Call {
  readonly name: string;
  /** Path of an answer to begin from. */
  readonly like: string;
  readonly run: () => Promise<unknown>;
}

async function prepareCalls(service: TestService, dir: string): Promise<Call[]> {
  const http = { attempts: 2, backoffMs: 0, idleMs: 5000 };
  const base = { apiBase: service.url, uploadBase: service.url };
  const lighthouse = createLighthouse({ apiKey: TEST_KEY, ...base, http });
  const pinning = createPinningService({ base: service.url, token: TEST_KEY, http });
  const gateways = createGateways({ gateways: [service.url], http });
  const content = "the content of a file that is worth keeping\n".repeat(100);
  const file = path.join(dir, "in.txt");
  const out = path.join(dir, "out.txt");
  await fs.writeFile(file, content);
  const upload = () =>
    uploadFile({ file, stateDir: path.join(dir, "state"), target: lighthouse.target, partBytes: 2048 });
  const { cid, parts } = await upload();
  const { id } = await pinning.pin({ cid });
  const download = async () => {
    await fs.rm(out, { force: true });
    await downloadFile({ cid, file: out, gateways }).finally(async () => {
      const there = await fs.readFile(out, "utf8").catch(() => content);
      if (there !== content) throw new Error("a download wrote something else");
    });
  };
  return [
    { name: "list", like: "/api/user/files_uploaded?lastKey=null", run: () => Array.fromAsync(lighthouse.list()) },
    { name: "quota", like: "/api/user/user_data_usage", run: () => lighthouse.quota() },
    { name: "deals", like: `/api/lighthouse/deal_status?cid=${cid}`, run: () => filecoinDeals(cid, { ...base, http }) },
    { name: "upload", like: "/api/user/user_data_usage", run: upload },
    { name: "pin", like: `/pins/${encodeURIComponent(id)}`, run: () => pinning.get(id) },
    { name: "pins", like: "/pins?status=queued,pinning,pinned", run: () => Array.fromAsync(pinning.list()) },
    { name: "download blocks", like: `/ipfs/${cid}?format=raw`, run: download },
    { name: "download parts", like: `/ipfs/${parts[0]}?format=car`, run: download },
  ];
}

async function rightAnswer(service: TestService, { like }: Call, random: Random): Promise<Uint8Array> {
  const response = await fetch(service.url + like, { headers: { authorization: `Bearer ${TEST_KEY}` } });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!(response.headers.get("content-type") ?? "").includes("json") || random(3) === 0) return bytes;
  return new TextEncoder().encode(JSON.stringify(retyped(JSON.parse(new TextDecoder().decode(bytes)), random)));
}

/** The value with one place in it exchanged, removed or repeated. */
function retyped(value: unknown, random: Random): unknown {
  if (random(4) === 0 || typeof value !== "object" || value === null) return NASTY[random(NASTY.length)];
  if (Array.isArray(value)) {
    if (random(3) === 0) return Array<unknown>(random(5000)).fill(value[0]);
    return value.map((inner: unknown, index) => (index === 0 ? retyped(inner, random) : inner));
  }
  const keys = Object.keys(value);
  const key = keys[random(keys.length)] ?? "x";
  const inner = (value as Record<string, unknown>)[key];
  return { ...value, [key]: random(4) === 0 ? undefined : retyped(inner, random) };
}

function damage(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0 || random(3) > 0) return bytes;
  const at = random(bytes.length);
  if (random(2) === 0) return bytes.subarray(0, at);
  return Uint8Array.from(bytes).with(at, random(256));
}

import http from "node:http";
import type { AddressInfo } from "node:net";
import { answerPins, type TestPin } from "./testing-pins.ts";
import { TestBlocks } from "./testing-blocks.ts";

/** What goes wrong with a request. */
export type Fault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** A right answer that ends after half of its bytes. */
  | { readonly kind: "truncate" }
  /** The connection is reset when so many bytes of the request have come. */
  | { readonly kind: "reset"; readonly afterBytes: number }
  /** Nothing is ever answered. */
  | { readonly kind: "stall" }
  /** Half of the answer, then nothing. */
  | { readonly kind: "stall-midway" }
  /** The upload is done, and another CID is told. */
  | { readonly kind: "wrong-cid" }
  /** The upload is done, and the answer is lost. */
  | { readonly kind: "lost-answer" }
  /** This text with status 200 instead of the answer. */
  | { readonly kind: "text"; readonly body: string | Uint8Array; readonly type?: string };

export interface TestRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly host: string;
  readonly body: Buffer;
  readonly headers: http.IncomingHttpHeaders;
}

export interface TestAnswer {
  readonly status?: number;
  readonly type?: string;
  readonly body: string | Uint8Array;
}

export interface TestServiceOptions {
  readonly key?: string;
  /** Bytes that the account may store. */
  readonly limit?: number;
  /** How the gateway answers: blocks and CARs, or files only. */
  readonly gateway?: "trustless" | "files";
  /** Called for every request in the order of their coming; what it returns goes wrong. */
  readonly fault?: (request: { method: string; path: string; count: number }) => Fault | undefined;
}

export interface StoredFile {
  readonly id: string;
  readonly cid: string;
  readonly name: string;
  readonly size: number;
}

/** A server that speaks the documented protocols of Lighthouse, IPFS gateways, pinning services and the IPFS daemon. */
export interface TestService {
  readonly url: string;
  readonly blocks: TestBlocks;
  /** Every upload that was taken in, also the same content twice. */
  readonly stored: StoredFile[];
  readonly pins: TestPin[];
  /** Method and path of every request, and bodies of those with JSON. */
  readonly requests: { readonly method: string; readonly path: string; readonly body: string }[];
  used: number;
  fault: TestServiceOptions["fault"];
  close(): Promise<void>;
}

export const TEST_KEY = "test-key-3f9c41";

export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const { key = TEST_KEY } = options;
  const server = http.createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  const service: TestService = {
    url: "",
    blocks: new TestBlocks(),
    stored: [],
    pins: [],
    requests: [],
    used: 0,
    fault: options.fault,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  async function handle(incoming: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? "/", "http://localhost");
    const { method = "GET" } = incoming;
    const path = url.pathname;
    const fault = service.fault?.({ method, path, count: service.requests.length });
    const entry = { method, path: `${path}${url.search}`, body: "" };
    service.requests.push(entry);
    if (fault?.kind === "status") {
      incoming.resume();
      response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
      return;
    }
    const body = await bodyOf(incoming, fault?.kind === "reset" ? fault.afterBytes : Infinity);
    if (body === undefined || fault?.kind === "stall") return;
    const { headers } = incoming;
    if (headers["content-type"] === "application/json") entry.body = body.toString();
    // An IPFS daemon asks for no key, Lighthouse does when one is sent or expected.
    const isPublic = /^\/(ipfs\/|api\/lighthouse\/deal_status|api\/v0\/)/.test(path);
    const allowed = headers.authorization === `Bearer ${key}` || (isPublic && headers.authorization === undefined);
    const asked = { method, path, query: url.searchParams, host: headers.host ?? "", body, headers };
    const answer = allowed ? await answerOf(service, options, asked, fault) : unauthorised;
    send(response, answer, fault);
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  Object.assign(service, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return service;
}

const unauthorised: TestAnswer = { status: 401, body: '{"error":{"reason":"UNAUTHORIZED","details":"bad token"}}' };
const missing: TestAnswer = { status: 404, body: '{"error":"not found"}' };
export const json = (value: unknown, status = 200): TestAnswer => ({ status, body: JSON.stringify(value) });

async function bodyOf(incoming: http.IncomingMessage, resetAfter: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length < resetAfter) continue;
    incoming.socket.resetAndDestroy();
    return undefined;
  }
  return Buffer.concat(chunks);
}

function send(
  response: http.ServerResponse,
  { status = 200, type = "application/json", body }: TestAnswer,
  fault?: Fault,
) {
  if (fault?.kind === "text")
    return void response.writeHead(200, { "content-type": fault.type ?? type }).end(fault.body);
  if (fault?.kind === "lost-answer") return void response.destroy();
  const bytes = Buffer.from(body);
  response.writeHead(status, { "content-type": type, "content-length": bytes.length });
  if (fault?.kind !== "truncate" && fault?.kind !== "stall-midway") return void response.end(bytes);
  response.write(bytes.subarray(0, bytes.length >> 1), () => {
    if (fault.kind === "truncate") response.destroy();
  });
}

async function answerOf(
  service: TestService,
  options: TestServiceOptions,
  request: TestRequest,
  fault: Fault | undefined,
): Promise<TestAnswer> {
  const { method, path } = request;
  if (method === "POST" && path === "/api/v0/add") return add(service, options, request, fault);
  if (method === "GET" && path === "/api/user/user_data_usage")
    return json({ dataLimit: options.limit ?? 2 ** 40, dataUsed: service.used });
  if (method === "GET" && path === "/api/user/files_uploaded") return files(service, request);
  if (method === "DELETE" && path === "/api/user/delete_file") {
    const at = service.stored.findIndex(({ id }) => id === request.query.get("id"));
    if (at < 0) return missing;
    service.stored.splice(at, 1);
    return json({ message: "File deleted successfully." });
  }
  // An IPFS daemon, for users of pinning services.
  if (method === "POST" && path === "/api/v0/id") return json({ ID: "12D3KooWTestNode", Addresses: NODE_ADDRESSES });
  if (method === "POST" && path === "/api/v0/swarm/connect") return json({ Strings: ["connect success"] });
  if (method === "POST" && path === "/api/lighthouse/pin") return json({ message: "queued" });
  if (method === "GET" && path === "/api/lighthouse/deal_status") return json([DEAL]);
  if (path.startsWith("/ipfs/")) return gateway(service, options, request);
  if (path === "/pins" || path.startsWith("/pins/")) return answerPins(service.pins, request);
  return missing;
}

const NODE_ADDRESSES = [
  "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWTestNode",
  "/ip4/192.168.1.5/tcp/4001/p2p/12D3KooWTestNode",
  "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWTestNode",
];

/** As Lighthouse documents it. */
const DEAL = {
  pieceCID: "baga6ea4seaqexample",
  payloadCid: "bafkreiemizfwgot67q5mfsejmgwotaoegd3v536l2liy5oubpjhbaawfku",
  pieceSize: 512,
  carFileSize: 256,
  dealId: 74606268,
  miner: "f01771403",
  content: 74,
  dealStatus: "Sealing: Proving",
  startEpoch: 3714464,
  endEpoch: 4232864,
  publishCid: "bafy2bzacedupiqlo732qxawhctakxtfjyljuwjvndih22wqkkdhon4fsnsopa",
  dealUUID: "10ed5a44-1d76-425f-af70-270a78fefb6f",
  providerCollateral: "7.568 mFIL",
  chainDealID: 74606268,
};

async function add(
  service: TestService,
  { limit = 2 ** 40 }: TestServiceOptions,
  { body, query, headers }: TestRequest,
  fault: Fault | undefined,
): Promise<TestAnswer> {
  if (query.get("cid-version") !== "1") return json({ error: "cid-version=1 is expected" }, 400);
  const form = await new Response(new Uint8Array(body), {
    headers: { "content-type": headers["content-type"] ?? "" },
  }).formData();
  const file = form.get("file") as File;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (service.used + bytes.length > limit) return json({ error: "storage quota exceeded" }, 403);
  const cid = await service.blocks.add(bytes);
  service.used += bytes.length;
  const name = decodeURIComponent(file.name);
  service.stored.push({ id: `id-${service.stored.length}`, cid, name, size: bytes.length });
  const told = fault?.kind === "wrong-cid" ? await new TestBlocks().add(Uint8Array.of(1, 2, 3)) : cid;
  return json({ Name: file.name, Hash: told, Size: String(bytes.length) });
}

/** Pages of 3, so that lists have several. */
const PAGE = 3;

function files({ stored }: TestService, { query }: TestRequest): TestAnswer {
  const lastKey = query.get("lastKey");
  const from = lastKey === "null" ? 0 : stored.findIndex(({ id }) => id === lastKey) + 1;
  const fileList = stored.slice(from, from + PAGE).map(({ id, cid, name, size }) => ({
    publicKey: "0xa3c960b3ba29367ecbcaf1430452c6cd7516f588",
    fileName: name,
    mimeType: "application/octet-stream",
    txHash: "",
    status: "queued",
    createdAt: 1_691_087_810_426,
    fileSizeInBytes: String(size),
    cid,
    id,
    lastUpdate: 1_691_087_810_426,
    encryption: false,
  }));
  return json({ fileList, totalFiles: stored.length });
}

async function gateway(
  { blocks }: TestService,
  { gateway: kind = "trustless" }: TestServiceOptions,
  { path, query }: TestRequest,
): Promise<TestAnswer> {
  const cid = path.slice("/ipfs/".length);
  if (!blocks.has(cid)) return missing;
  const format = kind === "trustless" ? query.get("format") : null;
  if (format === "raw") return { type: "application/vnd.ipld.raw", body: blocks.block(cid)! };
  if (format === "car") return { type: "application/vnd.ipld.car; version=1", body: await blocks.car(cid) };
  return { type: "application/octet-stream", body: await blocks.file(cid) };
}

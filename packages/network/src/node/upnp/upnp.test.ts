import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { silent } from "../../host/log.ts";
import { until } from "../../testing.ts";
import type { PortMapping } from "../../nat/port-mapping.ts";
import { findGateway } from "./gateway.ts";
import { keepPortMappings } from "./port-mappings.ts";

const TYPE = "urn:schemas-upnp-org:service:WANIPConnection:1";
const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

/** A router on the loopback interface: answers searches, describes itself, keeps mappings. */
async function startRouter({ onlyLasting = false, control = "/ctl" } = {}) {
  const table = new Map<string, Record<string, string>>();
  const added: Record<string, string>[] = [];
  const state = { ip: "203.0.113.7", refuses: false };
  const values = (xml: string) =>
    Object.fromEntries([...xml.matchAll(/<(New\w+)>([^<]*)</g)].map((it) => [it[1]!, it[2]!]));
  const answer = (action: string, body: string): { status: number; text: string } => {
    const args = values(body);
    const key = `${args.NewProtocol} ${args.NewExternalPort}`;
    if (action === "AddPortMapping" && state.refuses) return { status: 500, text: "<errorCode>501</errorCode>" };
    if (action === "AddPortMapping" && onlyLasting && args.NewLeaseDuration !== "0")
      return {
        status: 500,
        text: "<errorCode>725</errorCode><errorDescription>OnlyPermanentLeasesSupported</errorDescription>",
      };
    if (action === "AddPortMapping") table.set(key, (added.push(args), args));
    if (action === "DeletePortMapping" && !table.delete(key))
      return { status: 500, text: "<errorCode>714</errorCode>" };
    const ip = action === "GetExternalIPAddress" ? `<NewExternalIPAddress>${state.ip}</NewExternalIPAddress>` : "";
    return { status: 200, text: `<u:${action}Response xmlns:u="${TYPE}">${ip}</u:${action}Response>` };
  };
  const server = http.createServer((request, response) => {
    if (request.url === "/root.xml")
      return response.end(
        `<root><device><serviceList><service><serviceType>urn:x:1</serviceType><controlURL>/no</controlURL></service>` +
          `<service><serviceType>${TYPE}</serviceType><controlURL>${control}</controlURL></service></serviceList></device></root>`,
      );
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const [, action = ""] = (request.headers.soapaction as string).replaceAll('"', "").split("#");
      const { status, text } = answer(action, body);
      response.writeHead(status, { "content-type": "text/xml" }).end(text);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const ssdp = dgram.createSocket("udp4");
  const { port } = server.address() as AddressInfo;
  ssdp.on("message", (bytes, from) => {
    if (!bytes.toString().startsWith("M-SEARCH")) return;
    const location = `HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://127.0.0.1:${port}/root.xml\r\n\r\n`;
    ssdp.send("HTTP/1.1 200 OK\r\nLOCATION: http://198.51.100.1/evil.xml\r\n\r\n", from.port, from.address);
    ssdp.send(location, from.port, from.address);
  });
  ssdp.bind(0, "127.0.0.1");
  await once(ssdp, "listening");
  closing.push(
    () => ssdp.close(),
    () => (server.closeAllConnections(), server.close()),
  );
  return { table, added, state, ssdp: { host: "127.0.0.1", port: ssdp.address().port } };
}

const ports = [
  { protocol: "TCP", host: "192.168.1.5", port: 4001 },
  { protocol: "UDP", host: "192.168.1.5", port: 4001 },
] as const;

test("a router forwards the node's ports, again and again while it runs, and no longer than that", async () => {
  const router = await startRouter();
  const seen: { host: string; mappings: readonly PortMapping[] }[] = [];
  const signal = new AbortController().signal;
  const onMapped = (host: string, mappings: readonly PortMapping[]) => void seen.push({ host, mappings });
  const stop = keepPortMappings({ ports, log: silent, signal, onMapped, ssdp: router.ssdp, leaseSeconds: 1 });
  await until(() => seen.length >= 2);
  expect(seen[0]).toMatchObject({
    host: "203.0.113.7",
    mappings: [{ protocol: "TCP" }, { protocol: "UDP", externalPort: 4001 }],
  });
  expect([...router.table.keys()].toSorted()).toEqual(["TCP 4001", "UDP 4001"]);
  expect(router.table.get("TCP 4001")).toMatchObject({ NewInternalClient: "192.168.1.5", NewInternalPort: "4001" });
  expect(router.added.length).toBeGreaterThanOrEqual(4);
  await stop();
  expect(router.table.size).toBe(0);
});

test("a router that keeps mappings only for ever is taken at its word, and asked to forget them", async () => {
  const router = await startRouter({ onlyLasting: true });
  const mapped = Promise.withResolvers<readonly PortMapping[]>();
  const signal = new AbortController().signal;
  const onMapped = (_: string, mappings: readonly PortMapping[]) => mapped.resolve(mappings);
  const stop = keepPortMappings({ ports, log: silent, signal, onMapped, ssdp: router.ssdp });
  expect((await mapped.promise).map(({ leaseSeconds }) => leaseSeconds)).toEqual([0, 0]);
  await stop();
  expect(router.table.size).toBe(0);
});

test("without a router, or with one that points elsewhere, nothing is mapped", async () => {
  const elsewhere = await startRouter({ control: "http://198.51.100.1/ctl" });
  const options = { waitMs: 300, signal: new AbortController().signal };
  expect(await findGateway({ ...options, ssdp: elsewhere.ssdp })).toBeUndefined();
  expect(await findGateway({ ...options, ssdp: { host: "127.0.0.1", port: 9 } })).toBeUndefined();
});

test("a router without an address outside, or that refuses, leaves nothing to announce until it does its work again", async () => {
  const router = await startRouter();
  const seen: string[] = [];
  const { signal } = new AbortController();
  const onMapped = (host: string, mappings: readonly PortMapping[]) => void seen.push(`${host} ${mappings.length}`);
  const options = { ports, log: silent, signal, onMapped, ssdp: router.ssdp, leaseSeconds: 0.2, retryMs: 50 };
  const next = async (state: Partial<typeof router.state>, expected: string) => {
    Object.assign(router.state, state);
    seen.length = 0;
    await until(() => seen.includes(expected));
  };
  router.state.ip = "";
  const stop = keepPortMappings(options);
  await until(() => seen.length >= 2);
  expect([...new Set(seen)]).toEqual([" 0"]);
  const gateway = (await findGateway({ ssdp: router.ssdp, waitMs: 2000, signal }))!;
  for (const ip of ["", "0.0.0.0", "127.0.0.1", "not an address", "203.0.113.7.8"]) {
    router.state.ip = ip;
    await expect(gateway.externalIp(signal)).rejects.toMatchObject({ code: "Malformed" });
  }
  await next({ ip: "203.0.113.7" }, "203.0.113.7 2");
  await next({ refuses: true }, "203.0.113.7 0");
  await next({ refuses: false }, "203.0.113.7 2");
  await next({ ip: "192.168.7.2" }, "192.168.7.2 0");
  await stop();
  expect(router.table.size).toBe(0);
});

test("a router's answer without end is not read to its end", async () => {
  let sent = 0;
  const endless = http.createServer((_, response) => {
    const timer = setInterval(() => ((sent += 65_536), response.write(Buffer.alloc(65_536, 32))), 1);
    response.on("close", () => clearInterval(timer));
  });
  endless.listen(0, "127.0.0.1");
  await once(endless, "listening");
  const gone = new Promise((resolve) => endless.on("connection", (socket) => socket.on("close", resolve)));
  const ssdp = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  await once(ssdp, "listening");
  closing.push(() => ssdp.close());
  const location = `http://127.0.0.1:${(endless.address() as AddressInfo).port}/root.xml`;
  ssdp.on("message", (_, from) =>
    ssdp.send(`HTTP/1.1 200 OK\r\nLOCATION: ${location}\r\n\r\n`, from.port, from.address),
  );
  const place = { host: "127.0.0.1", port: ssdp.address().port };
  const stopping = new AbortController();
  const found = findGateway({ ssdp: place, waitMs: 60_000, signal: stopping.signal });
  await gone;
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  stopping.abort();
  expect(await found).toBeUndefined();
  endless.close();
});

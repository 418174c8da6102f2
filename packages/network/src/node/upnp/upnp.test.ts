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
import { startRouter as openRouter, type RouterOptions } from "./testing-router.ts";

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

async function startRouter(options: RouterOptions = {}) {
  const router = await openRouter(options);
  closing.push(router.close);
  return router;
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

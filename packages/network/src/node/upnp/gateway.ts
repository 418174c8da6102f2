// Port mapping of UPnP (Internet Gateway Device 1 and 2): https://upnp.org/specs/gw/UPnP-gw-WANIPConnection-v1-Service.pdf
import dgram from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import { NetworkError } from "../../errors.ts";
import { scopeOfHost } from "../../ip/scope.ts";
import type { PortMapping } from "../../nat/port-mapping.ts";

/** Where gateways are asked for: SSDP's multicast address. */
export const SSDP = { host: "239.255.255.250", port: 1900 };
const SEARCH_TARGETS = [1, 2].map((version) => `urn:schemas-upnp-org:device:InternetGatewayDevice:${version}`);
const SERVICE = /<serviceType>\s*(urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:[12])\s*<\/serviceType>/;
const HTTP_MS = 5000;
const MAX_XML_BYTES = 256 * 1024;

/** A router that maps ports. */
export interface Gateway {
  /** @throws NetworkError `Malformed` when the router has no address of its own outside */
  externalIp(signal: AbortSignal): Promise<string>;
  map(mapping: PortMapping, signal: AbortSignal): Promise<void>;
  unmap(mapping: Pick<PortMapping, "protocol" | "externalPort">, signal: AbortSignal): Promise<void>;
}

/**
 * Looks for a router that maps ports.
 * @returns undefined when none answers within `waitMs`
 */
export async function findGateway(options: {
  readonly ssdp?: typeof SSDP;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}): Promise<Gateway | undefined> {
  const { ssdp = SSDP, waitMs, signal } = options;
  const socket = dgram.createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<Gateway | undefined>();
  const timer = setTimeout(() => resolve(undefined), waitMs);
  const stop = () => resolve(undefined);
  signal.addEventListener("abort", stop, { once: true });
  socket.on("error", stop);
  socket.on("message", (bytes, from) => {
    const location = /^location:\s*(\S+)/im.exec(bytes.toString("latin1"))?.[1];
    // Only what the answering machine itself describes, and only in our own network.
    if (location === undefined || !URL.canParse(location) || new URL(location).hostname !== from.address) return;
    if (scopeOfHost(from.address) !== "public") openGateway(location, signal).then(resolve, () => undefined);
  });
  try {
    socket.bind(0);
    await once(socket, "listening");
    for (const target of SEARCH_TARGETS)
      socket.send(
        `M-SEARCH * HTTP/1.1\r\nHOST: ${SSDP.host}:${SSDP.port}\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: ${target}\r\n\r\n`,
        ssdp.port,
        ssdp.host,
        () => undefined,
      );
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    socket.close();
  }
}

/** @throws NetworkError `Malformed` when the device maps no ports */
async function openGateway(location: string, signal: AbortSignal): Promise<Gateway> {
  const description = await fetchText(location, { signal });
  const services = description.split("<service>").slice(1);
  const service = services.find((text) => SERVICE.test(text));
  const type = service && SERVICE.exec(service)?.[1];
  const control = service && tag(service, "controlURL");
  if (type === undefined || control === undefined)
    throw new NetworkError("Malformed", `the device at ${location} maps no ports`);
  const url = new URL(control, tag(description, "URLBase") ?? location);
  if (url.hostname !== new URL(location).hostname)
    throw new NetworkError("Malformed", `the device at ${location} names another machine`);
  const call = (action: string, args: Readonly<Record<string, string | number>>, stop: AbortSignal) =>
    soap(url, type, { action, args }, stop);
  return {
    async externalIp(stop) {
      const answer = await call("GetExternalIPAddress", {}, stop);
      const ip = tag(answer, "NewExternalIPAddress");
      // A router whose line is down says "" or 0.0.0.0.
      if (ip === undefined || !isIPv4(ip) || scopeOfHost(ip) === "loopback")
        throw new NetworkError("Malformed", "the router has no address on the internet", {
          hint: "is its line to the internet up?",
        });
      return ip;
    },
    map: async ({ protocol, externalPort, internalPort, internalHost, leaseSeconds }, stop) =>
      void (await call(
        "AddPortMapping",
        {
          NewRemoteHost: "",
          NewExternalPort: externalPort,
          NewProtocol: protocol,
          NewInternalPort: internalPort,
          NewInternalClient: internalHost,
          NewEnabled: 1,
          NewPortMappingDescription: "SkyNet",
          NewLeaseDuration: leaseSeconds,
        },
        stop,
      )),
    unmap: async ({ protocol, externalPort }, stop) =>
      void (await call(
        "DeletePortMapping",
        { NewRemoteHost: "", NewExternalPort: externalPort, NewProtocol: protocol },
        stop,
      )),
  };
}

interface Call {
  readonly action: string;
  /** Numbers and addresses only: nothing to escape. */
  readonly args: Readonly<Record<string, string | number>>;
}

async function soap(url: URL, service: string, { action, args }: Call, signal: AbortSignal): Promise<string> {
  const values = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`);
  const body =
    `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"` +
    ` s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
    `<u:${action} xmlns:u="${service}">${values.join("")}</u:${action}></s:Body></s:Envelope>`;
  const headers = { "content-type": 'text/xml; charset="utf-8"', soapaction: `"${service}#${action}"` };
  return fetchText(url.href, { method: "POST", headers, body, signal });
}

/** @throws NetworkError `Refused` with the router's reason, `TooLarge` above 256 KiB */
async function fetchText(url: string, init: RequestInit & { signal: AbortSignal }): Promise<string> {
  const signal = AbortSignal.any([init.signal, AbortSignal.timeout(HTTP_MS)]);
  const response = await fetch(url, { ...init, signal, redirect: "error" });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MAX_XML_BYTES)
      throw new NetworkError("TooLarge", `the router's answer is larger than ${MAX_XML_BYTES} bytes`);
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString();
  if (response.ok) return text;
  const reason = `${tag(text, "errorCode") ?? response.status} ${tag(text, "errorDescription") ?? ""}`.trim();
  throw new NetworkError("Refused", `the router refuses: ${reason}`);
}

const tag = (xml: string, name: string): string | undefined =>
  new RegExp(`<(?:\\w+:)?${name}[^>]*>\\s*([^<]*?)\\s*<`).exec(xml)?.[1];

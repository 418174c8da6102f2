// A router that maps ports by UPnP, for tests: answers searches, describes itself, keeps mappings.
import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

const TYPE = "urn:schemas-upnp-org:service:WANIPConnection:1";

/** A mapping as it was asked for: NewProtocol, NewExternalPort, NewInternalClient and so on. */
export type Mapping = Readonly<Record<string, string>>;

export interface RouterOptions {
  /** Default: the loopback interface. */
  readonly host?: string;
  /** Port of searches; 0, the default, for a free one. Others than the loopback's are heard at the multicast address. */
  readonly searchPort?: number;
  /** Keeps mappings only for ever. */
  readonly onlyLasting?: boolean;
  /** Path or URL of the service. */
  readonly control?: string;
  /** Makes a mapping true. */
  readonly onMap?: (mapping: Mapping) => void;
}

export async function startRouter(options: RouterOptions = {}) {
  const { host = "127.0.0.1", searchPort = 0, onlyLasting = false, control = "/ctl", onMap } = options;
  const table = new Map<string, Mapping>();
  const added: Mapping[] = [];
  const state = { ip: "203.0.113.7", refuses: false };
  const values = (xml: string): Mapping =>
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
    if (action === "AddPortMapping") {
      table.set(key, args);
      added.push(args);
      onMap?.(args);
    }
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
  server.listen(0, host);
  await once(server, "listening");
  const ssdp = dgram.createSocket({ type: "udp4", reuseAddr: searchPort !== 0 });
  const { port } = server.address() as AddressInfo;
  ssdp.on("message", (bytes, from) => {
    if (!bytes.toString().startsWith("M-SEARCH")) return;
    const location = `HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://${host}:${port}/root.xml\r\n\r\n`;
    ssdp.send("HTTP/1.1 200 OK\r\nLOCATION: http://198.51.100.1/evil.xml\r\n\r\n", from.port, from.address);
    ssdp.send(location, from.port, from.address);
  });
  ssdp.bind(searchPort, host === "127.0.0.1" ? host : undefined);
  await once(ssdp, "listening");
  if (host !== "127.0.0.1") ssdp.addMembership("239.255.255.250", host);
  const close = () => {
    ssdp.close();
    server.closeAllConnections();
    server.close();
  };
  return { table, added, state, ssdp: { host, port: ssdp.address().port }, close };
}

// Secure WebSockets: certificates are checked, used, and renewed while connections stay.
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { createHost, createIdentity, type Host } from "@skynet/network";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCertificate } from "./certificate.ts";
import { startRelay, type Relay } from "./relay.ts";

const identity = (n: number) => createIdentity(new Uint8Array(32).fill(n));
let folder = "";
const file = (name: string) => path.join(folder, name);

/** A self-signed certificate for localhost; openssl is on every machine that could run a relay. */
function makeCertificate(name: string): void {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)];
  execFileSync("openssl", ["req", "-x509", ...key, ...subject, ...out], { stdio: "ignore" });
}

function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl())("a relay with a certificate", () => {
  let relay: Relay;
  let node: Host;
  let port = 0;
  const defaults = tls.getCACertificates("default");

  const served = () =>
    new Promise<string>((resolve, reject) => {
      const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
        resolve(new X509Certificate(socket.getPeerCertificate(true).raw).fingerprint256);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  const fingerprint = async (name: string) => new X509Certificate(await fs.readFile(file(name))).fingerprint256;
  const copy = (name: string) =>
    Promise.all([
      fs.copyFile(file(`${name}.pem`), file("live.pem")),
      fs.copyFile(file(`${name}.key`), file("live.key")),
    ]);

  beforeAll(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-tls-"));
    for (const name of ["first", "second"]) makeCertificate(name);
    await copy("first");
    tls.setDefaultCACertificates([...defaults, await fs.readFile(file("first.pem"), "utf8")]);
    relay = await startRelay({
      privateKey: identity(99).privateKey,
      listen: ["/ip4/127.0.0.1/tcp/0/wss"],
      dataDir: file("relay"),
      tls: { cert: file("live.pem"), key: file("live.key") },
      metrics: { host: "127.0.0.1", port: 0 },
    });
    port = Number(relay.host.multiaddrs()[0]!.split("/")[4]);
    const peer = relay.host.identity.peerId.toString();
    const address = `/dns4/localhost/tcp/${port}/wss/p2p/${peer}`;
    node = await createHost({ identity: identity(1), listen: [], relays: [address] });
    await node.connected({ signal: AbortSignal.timeout(30_000) });
  }, 60_000);
  afterAll(async () => {
    tls.setDefaultCACertificates(defaults);
    await node.stop();
    await relay.stop();
    await fs.rm(folder, { recursive: true, force: true });
  });

  it("carries nodes over secure WebSockets, with that certificate, and tells when it ends", async () => {
    expect(await served()).toBe(await fingerprint("first.pem"));
    expect(relay.host.connections().map(({ kind }) => kind)).toEqual(["websockets"]);
    const text = await (await fetch(`${relay.monitorUrl}/metrics`)).text();
    const end = /skynet_relay_certificate_end_seconds\{names="DNS:localhost[^}]*\} (\d+)/.exec(text)!;
    expect(Number(end[1]) * 1000).toBeGreaterThan(Date.now());
  });

  it("takes a renewed certificate when its files change; the connection of the node stays", async () => {
    const [before] = relay.host.connections();
    await copy("second");
    await expect.poll(served, { timeout: 30_000 }).toBe(await fingerprint("second.pem"));
    expect(relay.host.connections()).toEqual([before]);
    await node.publish("test", { kind: "a", job: null, body: "over the old connection" }, { ephemeral: false });
    await expect.poll(() => relay.host.serviceSize()?.messages).toBeGreaterThan(0);
  });

  it("keeps the old one when the new one is broken, and says why", async () => {
    await fs.writeFile(file("live.pem"), "nonsense");
    await expect(relay.reload()).rejects.toMatchObject({ code: "BadCertificate" });
    expect(await served()).toBe(await fingerprint("second.pem"));
    await copy("first");
    await relay.reload();
    expect(await served()).toBe(await fingerprint("first.pem"));
  });

  it.each([
    ["a key of another certificate", "first.pem", "second.key", /is not the key of/],
    ["a key instead of a certificate", "first.key", "first.key", /is not a certificate/],
    ["a certificate instead of a key", "first.pem", "first.pem", /is not a private key/],
  ])("refuses %s", async (_name, cert, key, message) => {
    const read = readCertificate({ cert: file(cert), key: file(key) }, Date.now());
    await expect(read).rejects.toMatchObject({ code: "BadCertificate", message: expect.stringMatching(message) });
  });

  it("refuses one that has ended, and a key that others can change", async () => {
    const files = { cert: file("first.pem"), key: file("first.key") };
    const later = Date.now() + 31 * 86_400_000;
    await expect(readCertificate(files, later)).rejects.toMatchObject({ code: "BadCertificate", hint: "renew it" });
    await fs.chmod(files.key, 0o666);
    await expect(readCertificate(files, Date.now())).rejects.toMatchObject({ code: "UnsafePermissions" });
  });
});

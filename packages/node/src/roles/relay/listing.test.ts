import { createIdentity } from "@skynet/network";
import { expect, test } from "vitest";
import { listedAddresses } from "./listing.ts";

const peer = createIdentity(new Uint8Array(32).fill(1)).peerId.toString();
const full = (address: string) => `${address}/p2p/${peer}`;
const LOCAL = ["/ip4/127.0.0.1/tcp/4000", "/ip4/192.168.1.7/tcp/4000"];
const PUBLIC = "/dns4/relay.example/tcp/443/wss";
const DEVELOPMENT = 31337;

test("a relay announces its addresses without its PeerId, off development chains only those that others reach", () => {
  const all = [...LOCAL, PUBLIC];
  expect(listedAddresses(all.map(full), DEVELOPMENT)).toEqual(all);
  expect(listedAddresses(all.map(full), 534_352)).toEqual([PUBLIC]);
});

test("what would not fit the entry is left out", () => {
  const long = (n: number) => `/dns4/${String(n).repeat(100)}.example/tcp/443/wss`;
  const listed = listedAddresses([1, 2, 3].map(long).map(full), 1);
  expect(listed).toEqual([long(1), long(2)]);
  expect(listed.join(" ").length).toBeLessThanOrEqual(256);
});

test("a relay that nobody could reach is told so", () => {
  const refused = expect.objectContaining({
    code: "NoPublicAddress",
    hint: expect.stringContaining("--listen") as string,
  });
  expect(() => listedAddresses(LOCAL.map(full), 534_352)).toThrow(refused);
});

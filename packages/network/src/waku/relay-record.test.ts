import { fromHex } from "@skynet/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom, mutate } from "../mutate.ts";
import { identityOf } from "../testing.ts";
import { decodeRecord, encodeRecord } from "./relay-record.ts";

const place = { seq: 1_800_000_000, clusterId: 1729, shards: [0] };
const identity = identityOf(1);

test("a record comes back as it was signed", () => {
  const address = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `/ip4/${ip}/tcp/${port}`),
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `/ip4/${ip}/tcp/${port}/ws`),
    fc.constantFrom(
      "/ip6/2001:db8::1/tcp/4000",
      "/dns4/relay.example.org/tcp/443/tls/ws",
      "/ip4/1.2.3.4/udp/9/quic-v1",
    ),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(address, { maxLength: 4 }),
      fc.array(fc.integer({ min: 0, max: 1023 }), { maxLength: 8 }),
      (addresses, shards) => {
        const multiaddrs = addresses.map((text) => `${text}/p2p/${identity.peerId.toString()}`);
        const record = encodeRecord(identity, { ...place, shards, multiaddrs });
        expect(record.length).toBeLessThanOrEqual(300);
        const decoded = decodeRecord(record);
        expect(decoded).toMatchObject({
          ...place,
          shards,
          address: identity.address,
          peerId: identity.peerId.toString(),
        });
        expect(decoded.multiaddrs.toSorted()).toEqual(multiaddrs.toSorted());
      },
    ),
    { seed: 1, numRuns: 40 },
  );
});

test("the record of EIP-778 has a signature that fits, and is refused for what Waku needs", () => {
  const text =
    "-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
  const malformed = expect.objectContaining({ code: "Malformed" });
  expect(() => decodeRecord(Buffer.from(text, "base64url"))).toThrow(malformed);
});

test("too many addresses are left out from the end, circuit addresses always", () => {
  const long = (n: number) => `/dns4/a-rather-long-name-of-a-relay-${n}.example.org/tcp/443/tls/ws`;
  const multiaddrs = ["/ip4/1.2.3.4/tcp/4000", ...[1, 2, 3, 4, 5, 6].map(long)];
  const circuit = `/ip4/1.2.3.4/tcp/4000/p2p/${identityOf(2).peerId.toString()}/p2p-circuit`;
  const decoded = decodeRecord(encodeRecord(identity, { ...place, multiaddrs: [circuit, ...multiaddrs] }));
  expect(decoded.multiaddrs.length).toBeLessThan(5);
  expect(decoded.multiaddrs).toEqual(
    multiaddrs.slice(0, decoded.multiaddrs.length).map((address) => `${address}/p2p/${identity.peerId.toString()}`),
  );
});

test("a changed record is refused", () => {
  const record = encodeRecord(identity, { ...place, multiaddrs: ["/ip4/1.2.3.4/tcp/4000", "/ip4/1.2.3.4/tcp/1/ws"] });
  const random = createRandom(3);
  for (let i = 0; i < 300; i++) {
    const changed = mutate(record, random);
    if (Buffer.compare(changed, record) === 0) continue;
    expect(() => decodeRecord(changed)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(Malformed|BadSignature|BadKey)$/) as string }),
    );
  }
  expect(() => decodeRecord(fromHex("0xc0"))).toThrow(expect.objectContaining({ code: "Malformed" }));
});

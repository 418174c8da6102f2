import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encode } from "./encoding.ts";
import { dataAux, decodeMarketMetadata, encodeMarketMetadata, type MarketMetadata } from "./market-metadata.ts";

const data: MarketMetadata = {
  version: 1,
  kind: "data",
  name: "digits",
  description: "8 x 8 pixels",
  bytes: 1000,
  samples: 60,
  shape: [8, 8],
  classes: 10,
  batchSize: 16,
};

describe("metadata of listings", () => {
  it("comes back from its encoding", () => {
    const card = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for (const metadata of [data, { ...data, card }])
      expect(decodeMarketMetadata(encodeMarketMetadata(metadata))).toEqual(metadata);
  });

  it.each([
    ["an unknown field", { ...data, extra: 1 }],
    ["another kind", { ...data, kind: "house" }],
    ["no samples", { ...data, samples: 0 }],
    ["a short key", { ...data, key: new Uint8Array(31) }],
    ["a card that is no CID", { ...data, card: "../dataset.md" }],
    ["a list", [data]],
  ])("is refused with %s", (_what, value) => {
    expect(() => decodeMarketMetadata(encode(value))).toThrow("not metadata of a listing");
  });

  it("is refused when it is longer than what the contract publishes", () => {
    const long = { ...data, name: "n".repeat(100), description: "å".repeat(2000) };
    expect(() => encodeMarketMetadata({ ...long, key: new Uint8Array(32) })).toThrow("bytes of metadata");
  });

  it("never does worse than refuse bytes of strangers", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => decodeMarketMetadata(bytes)).toThrow(/DAG-CBOR|not metadata/);
      }),
    );
  });
});

describe("aux of a dataset", () => {
  it("differs with everything that it binds", () => {
    const all = [
      dataAux(4, 16, [8, 8], 10),
      dataAux(5, 16, [8, 8], 10),
      dataAux(4, 17, [8, 8], 10),
      dataAux(4, 16, [64], 10),
      dataAux(4, 16, [8, 8], 11),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});

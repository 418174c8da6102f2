import { expect, test } from "vitest";
import { cidOf, codecOfCid, digestOfCid, matchesCid, sha256 } from "./cid.ts";

const hello = new TextEncoder().encode("hello world");

test("the CID of a raw block is the one that IPFS gives it", async () => {
  expect(await cidOf(hello)).toBe("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
});

test("a CID matches its block and no other, whatever the codec", async () => {
  for (const codec of ["raw", "dag-pb", "dag-cbor"] as const) {
    const cid = await cidOf(hello, codec);
    expect(codecOfCid(cid)).toBe(codec);
    expect(digestOfCid(cid)).toEqual(await sha256(hello));
    expect(await matchesCid(cid, hello)).toBe(true);
    expect(await matchesCid(cid, hello.subarray(1))).toBe(false);
  }
});

test.each([
  "",
  "bafk",
  "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
  "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5",
  "BAFKREIFZJUT3TE7NHYEKKLSS27NH3K72YSCO7Y32KOAO5EEI66WOF36N5E",
  "zb2rhj7crUKTQYRGCRATFaQ6YFLTde2YzdqbbhAASkL9uRDXn",
])("%j is not accepted as a CID", (text) => {
  expect(() => digestOfCid(text)).toThrow(expect.objectContaining({ code: "BadCid" }));
});

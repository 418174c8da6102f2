import { encode } from "@skynet/protocol";
import { describe, expect, test } from "vitest";
import { decodeMetadata, encodeMetadata, type JobMetadata } from "./metadata.ts";
import { decodeCapabilities, encodeCapabilities, requirementsOf, unmetRequirements } from "./requirements.ts";

const machine = { version: 1, memoryGiB: 16, cores: 8, gpu: "H200", region: "eu" } as const;
const newcomer = { roundsPaid: 0, slashes: 0 };

describe("requirements", () => {
  test("what a machine has fits what asks for no more", () => {
    expect(unmetRequirements({}, undefined, newcomer)).toEqual([]);
    const wanted = { memoryGiB: 16, cores: 8, gpu: true, regions: ["us", "eu"], reputation: { rounds: 3, slashes: 0 } };
    expect(unmetRequirements(wanted, machine, { roundsPaid: 3, slashes: 0 })).toEqual([]);
    expect(unmetRequirements({ gpu: false }, undefined, newcomer)).toEqual([]);
  });

  test.each([
    [{ memoryGiB: 17 }, "17 GiB of memory are wanted, not 16"],
    [{ cores: 9 }, "9 cores are wanted, not 8"],
    [{ regions: ["us", "asia"] }, "the region must be us or asia, not eu"],
    [{ reputation: { rounds: 1 } }, "1 paid rounds are wanted, not 0"],
  ])("%j leaves a machine out, with a reason", (wanted, reason) => {
    expect(unmetRequirements(wanted, machine, newcomer)).toEqual([reason]);
  });

  test("who declares nothing has nothing", () => {
    const wanted = { memoryGiB: 1, cores: 1, gpu: true, regions: ["eu"], reputation: { slashes: 1 } };
    expect(unmetRequirements(wanted, undefined, { roundsPaid: 9, slashes: 2 })).toEqual([
      "1 GiB of memory are wanted, not 0",
      "1 cores are wanted, not 0",
      "a GPU is wanted",
      "the region must be eu, not unknown",
      "at most 1 slashes are allowed, not 2",
    ]);
  });
});

describe("capabilities", () => {
  test("survive the chain, and fit it", () => {
    expect(decodeCapabilities(encodeCapabilities(machine))).toEqual(machine);
    const least = { version: 1, memoryGiB: 0.5, cores: 1, gpu: undefined } as const;
    expect(decodeCapabilities(encodeCapabilities(least))).toEqual({ version: 1, memoryGiB: 0.5, cores: 1 });
    const longest = { ...machine, gpu: "x".repeat(100), region: "r".repeat(32) };
    expect(encodeCapabilities(longest).length).toBeLessThanOrEqual(1024);
  });

  test("that are no capabilities are refused at home and unknown abroad", () => {
    expect(() => encodeCapabilities({ ...machine, region: "Middle Earth" })).toThrow(/region/);
    expect(() => encodeCapabilities({ ...machine, gpu: "x".repeat(101) })).toThrow(/gpu/);
    for (const bytes of [
      new Uint8Array(),
      Uint8Array.of(0xff),
      encode({ ...machine, version: 2 }),
      encode({ ...machine, more: 1 }),
      encode({ ...machine, gpu: "x".repeat(2000) }),
    ])
      expect(decodeCapabilities(bytes)).toBeUndefined();
  });
});

describe("metadata", () => {
  const metadata: JobMetadata = {
    version: 1,
    name: "job",
    arithmetic: "fixed",
    verification: "quorum",
    modelCid: "m",
    manifestCid: "d",
    batchSize: 8,
    learningRate: 0.5,
    initialSeed: new Uint8Array(32),
  };

  test("carries requirements, and none when there are none", () => {
    const requirements = requirementsOf({ cores: 2, gpu: undefined, reputation: { rounds: 1, slashes: undefined } })!;
    expect(requirements).toEqual({ cores: 2, reputation: { rounds: 1 } });
    expect(decodeMetadata(encodeMetadata({ ...metadata, requirements }))).toMatchObject({ requirements });
    expect(requirementsOf({})).toBeUndefined();
    expect(decodeMetadata(encodeMetadata(metadata))).not.toHaveProperty("requirements");
  });

  test("with requirements that nobody knows is refused", () => {
    const strange = encode({ ...metadata, requirements: { magic: true } });
    expect(() => decodeMetadata(strange)).toThrow(expect.objectContaining({ code: "BadMetadata" }));
  });
});

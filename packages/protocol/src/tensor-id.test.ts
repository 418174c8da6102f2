import { describe, expect, it } from "vitest";
import { toHex } from "./bytes.ts";
import { tensorId } from "./tensor-id.ts";

const data = Int32Array.from([1, -2, 3, 4]);
const base = { shape: [2, 2], scale: 4, data };

describe("tensor id", () => {
  it("is the value that another keccak implementation gives for the same layout", () => {
    expect(toHex(tensorId("weights", [base]))).toBe(
      "0x2b615e51ec196c902340c03356a9ac750dfcfe6f115128eec849953003f1db7e",
    );
  });

  it("differs when tag, shape, scale, element width, order or one element differs", () => {
    const ids = [
      tensorId("weights", [base]),
      tensorId("batch", [base]),
      tensorId("weights", [{ ...base, shape: [4, 1] }]),
      tensorId("weights", [{ ...base, shape: [4] }]),
      tensorId("weights", [{ ...base, scale: 5 }]),
      tensorId("weights", [{ ...base, data: Int16Array.from(data) }]),
      tensorId("weights", [{ ...base, data: Int32Array.from([1, -2, 4, 3]) }]),
      tensorId("weights", [base, base]),
      tensorId("weights", []),
    ].map(toHex);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("hashes the elements of a view, not its whole buffer", () => {
    const view = Int32Array.from([9, 1, -2, 3, 4]).subarray(1);
    expect(tensorId("weights", [{ ...base, data: view }])).toEqual(tensorId("weights", [base]));
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, toHex, word } from "./bytes.ts";
import { decode, encode } from "./encoding.ts";
import { InvalidInputError } from "./errors.ts";

describe("canonical encoding", () => {
  it("gives back what was encoded, whatever the order of the keys", () => {
    expect(decode(encode({ b: 1, a: [new Uint8Array([1, 2]), "x", null] }))).toEqual({
      a: [new Uint8Array([1, 2]), "x", null],
      b: 1,
    });
    expect(encode({ b: 1, a: 2 })).toEqual(encode({ a: 2, b: 1 }));
  });

  it("refuses other encodings of the same value", () => {
    const longOne = fromHex("0x1801");
    const unsorted = fromHex("0xa2616202616101");
    for (const bytes of [longOne, unsorted]) expect(() => decode(bytes)).toThrow(InvalidInputError);
  });

  it("answers arbitrary bytes with a value or a typed error, and never with two encodings", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          expect(encode(decode(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hexadecimal and words", () => {
  it("turns bytes into text and back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
  });

  it("refuses what is not hexadecimal or does not fit 256 bits", () => {
    for (const text of ["", "12", "0x1", "0xgg"]) expect(() => fromHex(text)).toThrow(InvalidInputError);
    expect(() => word(-1)).toThrow(InvalidInputError);
    expect(() => word(1n << 256n)).toThrow(InvalidInputError);
    expect(toHex(word(258))).toBe(`0x${"0".repeat(61)}102`);
  });
});

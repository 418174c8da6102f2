import { expect, test } from "vitest";
import { SignatureBoard } from "./signature-board.ts";

const entry = (statement: string, received = 0n) => ({ statement, signature: "0x01" as const, received });

test("only signatures of one statement and of allowed seats are handed out, in the order of the seats", () => {
  const board = new SignatureBoard();
  board.add("merge/1", 2, entry("a", 7n));
  board.add("merge/1", 0, entry("a", 5n));
  board.add("merge/1", 1, entry("b"));
  board.add("merge/1", 3, entry("a"));
  expect(board.collected("merge/1", "a", 0b0111n)).toEqual({
    seats: [0, 2],
    signatures: ["0x01", "0x01"],
    received: [5n, 7n],
  });
  board.keepOnly(["merge/2"]);
  expect(board.collected("merge/1", "a", 0b1111n).seats).toEqual([]);
});

// Reads code of the EVM and names what Scroll lacks or does otherwise.
import { fromHex, type Hex } from "@skynet/protocol";

interface Instruction {
  readonly at: number;
  readonly code: number;
  /** What a PUSH pushes. */
  readonly pushed: bigint | undefined;
}

const JUMPDEST = 0x5b;
/** STOP, JUMP, RETURN, REVERT, INVALID, SELFDESTRUCT: only a jump goes on behind them. */
const ENDS = new Set([0x00, 0x56, 0xf3, 0xfd, 0xfe, 0xff]);

/** Instructions that can run: all but those between an end and the next jump target, which are constants. */
function disassemble(bytes: Uint8Array): Instruction[] {
  const instructions: Instruction[] = [];
  let live = true;
  for (let at = 0; at < bytes.length; at++) {
    const code = bytes[at]!;
    if (code === JUMPDEST) live = true;
    const width = code >= 0x5f && code <= 0x7f ? code - 0x5f : 0;
    let pushed = code >= 0x5f && code <= 0x7f ? 0n : undefined;
    for (const byte of bytes.subarray(at + 1, at + 1 + width)) pushed = (pushed! << 8n) | BigInt(byte);
    if (live) instructions.push({ at, code, pushed });
    if (ENDS.has(code)) live = false;
    at += width;
  }
  return instructions;
}

/** Instructions that Scroll does not have, or that say something else there than on Ethereum. */
const LACKING = new Map<number, string>([
  [0x44, "PREVRANDAO (0 on Scroll)"],
  [0x49, "BLOBHASH"],
  [0x4a, "BLOBBASEFEE"],
  [0xf2, "CALLCODE"],
  [0xff, "SELFDESTRUCT"],
]);

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Every instruction of Cancun; a later one (for example CLZ, 0x1e) is refused like one that never was. */
const KNOWN = new Set([
  ...range(0x00, 0x0b),
  ...range(0x10, 0x1d),
  0x20,
  ...range(0x30, 0x4a),
  ...range(0x50, 0xa4),
  ...range(0xf0, 0xf5),
  0xfa,
  0xfd,
  0xfe,
  0xff,
]);

const CALLS = new Set([0xf1, 0xf2, 0xf4, 0xfa]);
const GAS = 0x5a;
const FIRST_NEW_PRECOMPILE = 0x0an;
const LAST_PRECOMPILE = 0x1ffn;
/** RIPEMD160 and BLAKE2F burn all gas on Scroll. */
const BURNING = new Set([3n, 9n]);

/** Constant addresses below 0x200 that the code calls: precompiled contracts. */
export function calledPrecompiles(code: Hex): bigint[] {
  const instructions = disassemble(fromHex(code));
  const called = instructions.flatMap(({ code: call }, index) => {
    if (!CALLS.has(call)) return [];
    // the gas lies on top of the stack, the address below it
    const gas = instructions[index - 1];
    const address = instructions[index - 2]?.pushed;
    const isConstant = gas !== undefined && (gas.code === GAS || gas.pushed !== undefined);
    return isConstant && address !== undefined && address <= LAST_PRECOMPILE ? [address] : [];
  });
  return [...new Set(called)].toSorted((a, b) => Number(a - b));
}

/** What of this code would not work on Scroll; empty when nothing. */
export function lackingOnScroll(code: Hex): string[] {
  const found = disassemble(fromHex(code)).flatMap(({ at, code: own }) => {
    if (LACKING.has(own)) return [`${LACKING.get(own)} at ${at}`];
    return KNOWN.has(own) ? [] : [`0x${own.toString(16)} at ${at}`];
  });
  const precompiles = calledPrecompiles(code)
    .filter((address) => address >= FIRST_NEW_PRECOMPILE || BURNING.has(address))
    .map((address) => `precompiled contract ${address}`);
  return [...found, ...precompiles];
}

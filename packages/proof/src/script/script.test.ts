import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { readWord } from "../field/curve.ts";
import {
  allHidden,
  commitPlainly,
  inferenceSubject,
  stepSubject,
  type Forgery,
  type Subject,
} from "../attacks/subject.ts";
import { provePlainly } from "../reference/prover.ts";
import { generateVerifier } from "../solidity/generate.ts";
import { verify } from "../verify/verify.ts";
import { publicBytes, statementWords, type Statement } from "./statement.ts";
import { Transcript } from "./transcript.ts";

type Event = { readonly read: readonly [number, number] } | { readonly absorbed: readonly bigint[] } | "drawn";

/** Bytes that tell when they are read. */
class WatchedBytes extends Uint8Array<ArrayBuffer> {
  log: Event[] | undefined;

  override subarray(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
    this.log?.push({ read: [start, end] });
    return new Uint8Array(this.buffer, this.byteOffset + start, end - start);
  }
}

function watchTranscript(log: Event[]): void {
  const { absorb, draw } = Transcript.prototype;
  vi.spyOn(Transcript.prototype, "absorb").mockImplementation(function (this: Transcript, words) {
    log.push({ absorbed: words });
    absorb.call(this, words);
  });
  vi.spyOn(Transcript.prototype, "draw").mockImplementation(function (this: Transcript) {
    log.push("drawn");
    return draw.call(this);
  });
}

async function eventsOf({ key }: Subject, { header, proof }: Forgery): Promise<Event[]> {
  const log: Event[] = [];
  watchTranscript(log);
  const watched = WatchedBytes.from(proof) as WatchedBytes;
  watched.log = log;
  await verify(key, header, watched);
  vi.restoreAllMocks();
  return log;
}

const shapeOf = (log: readonly Event[]): string[] =>
  log.map((event) => {
    if (event === "drawn") return event;
    return "read" in event ? `read ${event.read.join()}` : `absorbed ${event.absorbed.length}`;
  });

afterEach(() => void vi.restoreAllMocks());

describe.each(["step", "inference"])("the transcript of a proof: %s", (name) => {
  let subject: Subject;
  let forgery: Forgery;
  beforeAll(async () => {
    subject = name === "step" ? await stepSubject() : await inferenceSubject({ input: "public" });
    forgery = await subject.prove();
    return () => subject.close();
  });

  test("absorbs the statement first, then every word once, in order, before the next challenge", async () => {
    const { proof, header } = forgery;
    const log = await eventsOf(subject, forgery);
    const start = log.findIndex((event) => event !== "drawn" && "absorbed" in event);
    expect(log[start]).toEqual({ absorbed: statementWords(header) });
    let [read, absorbed] = [publicBytes(subject.circuit), publicBytes(subject.circuit)];
    for (const event of log.slice(start + 1))
      if (event === "drawn") expect(absorbed).toBe(read);
      else if ("read" in event) {
        expect(event.read[0]).toBe(read);
        read = event.read[1];
      } else
        for (const value of event.absorbed) {
          expect(value).toBe(readWord(proof, absorbed));
          absorbed += 32;
        }
    expect([read, absorbed]).toEqual([proof.length, proof.length]);
  });

  test("has the same messages and challenges for every statement", async () => {
    const { circuit } = subject;
    const context = `0x${"99".repeat(32)}` as const;
    const other = await subject.prove({
      statement: () => ({ context }),
      inputs: ({ weights }) => weights.fill(0n, 0, circuit.tensors[0]!.used),
    });
    expect(other.proof.length).toBe(forgery.proof.length);
    expect(shapeOf(await eventsOf(subject, other))).toEqual(shapeOf(await eventsOf(subject, forgery)));
  });

  test("is the same for both provers", async () => {
    const { header, tensors } = forgery;
    const log: Event[] = [];
    watchTranscript(log);
    await subject.prove();
    const fast = shapeOf(log.splice(0));
    await provePlainly(subject.key, header as Statement, tensors, allHidden(subject.hidden), commitPlainly);
    expect(shapeOf(log)).toEqual(fast);
  });

  test("covers the calldata of the contract without a gap, and nothing is drawn from a message that is not absorbed", async () => {
    const { source, proofBytes } = await generateVerifier(subject.key);
    expect(proofBytes).toBe(forgery.proof.length);
    const proofAt = 4 + 32 * 6;
    let at = proofAt + publicBytes(subject.circuit);
    const body = source.slice(source.indexOf("mstore(0x40,"));
    for (const [, kind, list] of body.matchAll(
      /\b(absorb|words|zeroSumcheck5|zeroSumcheck2|productSumcheck)\(((?:[^()]|\([^()]*\))*)\)/g,
    )) {
      const parts = list!.split(",").map((part) => part.trim());
      const rounds = kind === "productSumcheck" ? Number(parts[0]) - Number(parts[1]) : Number(parts[0]);
      const perRound = { zeroSumcheck5: 5, zeroSumcheck2: 2, productSumcheck: 2 }[kind as string];
      expect(Number(perRound === undefined ? parts[0] : parts.at(-1))).toBe(at);
      at += 32 * (perRound === undefined ? Number(parts[1]) : perRound * rounds);
    }
    expect(at).toBe(proofAt + proofBytes);
  });
});

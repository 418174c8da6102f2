// What every transport must do, seen through real hosts. Run by transports.test.ts.
import type { Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frame, type FramedStream } from "../host/framed-stream.ts";
import type { Host } from "../host/types.ts";
import { identityOf, until } from "../testing.ts";

const MIB = 1024 * 1024;
const ECHO = "/skynet/test/echo/1";
const UNREAD = "/skynet/test/unread/1";

/** Two hosts that reach each other over the transport, and nothing else. */
export interface Pair {
  readonly alice: Host;
  readonly bob: Host;
  /** Another host of the same kind, which nobody knows yet. */
  another(n: number): Promise<Host>;
  stop(): Promise<void>;
}

export interface ComplianceOptions {
  /** How an address of this transport looks. */
  readonly address: RegExp;
  /** Whether relayed connections are what it makes. */
  readonly limited?: boolean;
  start(): Promise<Pair>;
}

async function echo(stream: FramedStream): Promise<void> {
  for (let bytes = await stream.read(4 * MIB); bytes !== undefined; bytes = await stream.read(4 * MIB))
    await stream.write(bytes);
}

const open = async (from: Host, to: Host, protocol = ECHO) =>
  frame(await from.openStream(to.identity.address, protocol));

const sizes = [0, 1, 5, 65_535, 65_536, MIB + 1, 4 * MIB, 0, 2];

/** Frames of all sizes to the other side and back. */
async function exchange(from: Host, to: Host): Promise<void> {
  const stream = await open(from, to);
  const frames = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
  const writing = (async () => {
    for (const bytes of frames) await stream.write(bytes);
    await stream.close();
  })();
  for (const bytes of frames) expect(Buffer.compare((await stream.read(4 * MIB))!, bytes)).toBe(0);
  expect(await stream.read(1)).toBeUndefined();
  await writing;
}

async function smallExchange(from: Host, to: Host, i: number): Promise<void> {
  const stream = await open(from, to);
  await stream.write(Uint8Array.of(i, 1), new Uint8Array(20_000).fill(i));
  expect((await stream.read(MIB))!.every((byte, at) => byte === (at === 1 ? 1 : i))).toBe(true);
  await stream.close();
  expect(await stream.read(1)).toBeUndefined();
}

/** Runs the suite on one transport. */
export function testTransport(name: string, { address, limited = false, start }: ComplianceOptions): void {
  describe(`transport ${name}`, () => {
    let pair: Pair;
    let alice: Host;
    let bob: Host;
    beforeAll(async () => {
      pair = await start();
      ({ alice, bob } = pair);
      for (const host of [alice, bob]) await host.serve(ECHO, echo);
    });
    afterAll(() => pair.stop());
    const bobsConnection = () => alice.connect(bob.identity.address);

    test("connects to the peer that was asked for, and to no other", async () => {
      const connection = await bobsConnection();
      expect(connection.remotePeer.equals(bob.identity.peerId)).toBe(true);
      expect(connection.remoteAddr.toString()).toMatch(address);
      expect(connection.limits !== undefined).toBe(limited);
      const stranger = identityOf(7);
      const [bobs] = bob.multiaddrs().filter((text) => address.test(text));
      const forged = bobs!.replace(bob.identity.peerId.toString(), stranger.peerId.toString());
      await expect(alice.dial(forged)).rejects.toMatchObject({ code: "Unreachable" });
      expect(alice.peers()).not.toContain(stranger.address);
    });

    test("carries frames from 0 bytes to 4 MiB, both ways at once", async () => {
      await Promise.all([exchange(alice, bob), smallExchange(bob, alice, 5)]);
    });

    test("64 streams at once, each whole", async () => {
      await Promise.all(Array.from({ length: 64 }, (_, i) => smallExchange(alice, bob, i)));
    });

    test("one side may end while the other still sends", async () => {
      const got: number[] = [];
      const end = await bob.serve("/skynet/test/half/1", async (stream) => {
        for (let bytes = await stream.read(10); bytes !== undefined; bytes = await stream.read(10)) got.push(bytes[0]!);
        for (let i = 0; i < 3; i++) await stream.write(Uint8Array.of(i));
      });
      const stream = await open(alice, bob, "/skynet/test/half/1");
      await stream.write(Uint8Array.of(9));
      const closed = stream.close();
      for (let i = 0; i < 3; i++) expect(await stream.read(10)).toEqual(Uint8Array.of(i));
      expect(await stream.read(10)).toBeUndefined();
      await closed;
      expect(got).toEqual([9]);
      await end();
    });

    test("a reset is an error on the other side, not an end", async () => {
      const outcome = Promise.withResolvers<string>();
      const end = await bob.serve("/skynet/test/reset/1", async (stream) => {
        await stream.read(10);
        await stream.read(10).then(
          (bytes) => outcome.resolve(bytes === undefined ? "end" : "bytes"),
          (error: { code: string }) => outcome.resolve(error.code),
        );
      });
      const stream = await open(alice, bob, "/skynet/test/reset/1");
      await stream.write(Uint8Array.of(1));
      await until(() => (bob.traffic().protocols["/skynet/test/reset/1"]?.receivedBytes ?? 0) > 4);
      stream.abort(new Error("changed my mind"));
      expect(await outcome.promise).toBe("Unreachable");
      await end();
    });

    test("a reader that does not read holds back the writer, and other streams go on", async () => {
      const start = Promise.withResolvers<void>();
      let received = 0;
      const end = await bob.serve(UNREAD, async (stream) => {
        await start.promise;
        for (let bytes = await stream.read(MIB); bytes !== undefined; bytes = await stream.read(MIB))
          received += bytes.length;
        await stream.write(Uint8Array.of(1));
      });
      const stream = await open(alice, bob, UNREAD);
      let written = 0;
      const writing = (async () => {
        for (; written < 20; written++) await stream.write(new Uint8Array(MIB).fill(1));
        await stream.close();
      })();
      await stands(() => written);
      expect(written).toBeLessThan(16);
      await smallExchange(alice, bob, 3);
      start.resolve();
      await writing;
      expect(await stream.read(1)).toHaveLength(1);
      expect(received).toBe(20 * MIB);
      await end();
    });

    test("counts what it carried", async () => {
      const before = alice.traffic();
      const stream = await open(alice, bob);
      await stream.write(new Uint8Array(MIB));
      await stream.read(MIB);
      await stream.close();
      const after = alice.traffic();
      for (const key of ["sentBytes", "receivedBytes"] as const) {
        const total = after[key] - before[key];
        expect(total).toBeGreaterThan(MIB);
        expect(total).toBeLessThan(1.2 * MIB);
        expect(after.protocols[ECHO]![key] - before.protocols[ECHO]![key]).toBeGreaterThan(MIB);
      }
    });

    test("what a node says in the moment before it stops arrives", async () => {
      const carol = await pair.another(7);
      const heard: unknown[] = [];
      const end = bob.subscribe("last-words", ({ body }) => void heard.push(body));
      const words = Array.from({ length: 20 }, (_, i) => i);
      await Promise.all(words.map((body) => carol.publish("last-words", { kind: "word", job: null, body })));
      await carol.stop();
      await until(() => heard.length === words.length);
      end();
    });

    test("a peer that stops is noticed, and its streams end with an error", async () => {
      const carol = await pair.another(8);
      await carol.serve(UNREAD, () => new Promise(() => undefined));
      const stream = await open(alice, carol, UNREAD);
      await stream.write(Uint8Array.of(1));
      const reading = stream.read(1);
      await carol.stop();
      await expect(reading.then((bytes) => bytes ?? Promise.reject(new Error("ended")))).rejects.toThrow();
      await until(() => !alice.peers().includes(carol.identity.address as Hex));
    });
  });
}

/** Waits until a number does not grow any more. */
async function stands(value: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 4;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}

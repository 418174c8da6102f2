import { afterEach, beforeEach, expect, test } from "vitest";
import { frame, type FramedStream } from "./framed-stream.ts";
import type { Host } from "./types.ts";
import { startNetwork, type TestNetwork } from "../testing.ts";

const MIB = 1024 * 1024;
const PROTOCOL = "/skynet/test/1";
let network: TestNetwork;
let alice: Host;
let bob: Host;
beforeEach(async () => {
  network = await startNetwork();
  [alice, bob] = (await Promise.all([network.node(1), network.node(2)])) as [Host, Host];
});
afterEach(() => network.stop());

const open = async () => frame(await alice.openStream(bob.identity.address, PROTOCOL));

async function echo(stream: FramedStream): Promise<void> {
  for (let bytes = await stream.read(MIB); bytes !== undefined; bytes = await stream.read(MIB))
    await stream.write(bytes);
}

test("frames of any size come back whole and in order, also when many are under way", async () => {
  await bob.serve(PROTOCOL, echo);
  const stream = await open();
  const sizes = [0, 1, 3, 4, 5, 1000, 65_535, 65_536, 262_145, MIB, 0, 2];
  const frames = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
  const writing = (async () => {
    for (const bytes of frames) await stream.write(bytes.subarray(0, 2), bytes.subarray(2));
    await stream.close();
  })();
  for (const bytes of frames) expect(Buffer.compare((await stream.read(MIB))!, bytes)).toBe(0);
  expect(await stream.read(MIB)).toBeUndefined();
  await writing;
});

test("a sender waits for a reader that does not read, and nothing is lost", async () => {
  const start = Promise.withResolvers<void>();
  let received = 0;
  await bob.serve(PROTOCOL, async (stream) => {
    await start.promise;
    for (let bytes = await stream.read(MIB); bytes !== undefined; bytes = await stream.read(MIB)) received += bytes[0]!;
    await stream.write(new Uint8Array(1));
  });
  const stream = await open();
  let written = 0;
  const writing = (async () => {
    for (; written < 64; written++) await stream.write(new Uint8Array(MIB).fill(1));
    await stream.close();
  })();
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(written).toBeLessThan(16);
  start.resolve();
  await writing;
  expect(await stream.read(1)).toHaveLength(1);
  expect(received).toBe(64);
});

test("a frame that is too large, cut off, or on a reset stream is a typed error", async () => {
  const codes: string[] = [];
  await bob.serve(PROTOCOL, async (stream) => {
    const code = await stream.read(10).then(
      () => "none",
      (error: { code: string }) => error.code,
    );
    codes.push(code);
  });
  await (await open()).write(new Uint8Array(11));
  await expect.poll(() => codes).toEqual(["TooLarge"]);
  const cut = await alice.openStream(bob.identity.address, PROTOCOL);
  cut.send(Uint8Array.of(0, 0, 0, 5, 1));
  await cut.close();
  await expect.poll(() => codes).toEqual(["TooLarge", "Unreachable"]);
  const reset = await open();
  await reset.write();
  const second = await alice.openStream(bob.identity.address, PROTOCOL);
  second.abort(new Error("gone"));
  await expect.poll(() => codes.slice(2).toSorted()).toEqual(["Unreachable", "none"]);
});

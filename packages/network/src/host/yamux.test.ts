import type { Stream, StreamMuxerFactory } from "@libp2p/interface";
import { multiaddrConnectionPair } from "@libp2p/utils";
import { yamux } from "@libp2p/yamux";
import { expect, test } from "vitest";
import { frame } from "./framed-stream.ts";
import { createYamux } from "./yamux.ts";

const ours = createYamux({});
const theirs = yamux();

/** Two multiplexers over a line that delivers pieces of at most so many bytes; the second one echoes frames. */
function connect(dialler: StreamMuxerFactory, listener: StreamMuxerFactory, pieceBytes: number) {
  const [a, b] = multiaddrConnectionPair({ chunkSize: pieceBytes, capacity: 1000 });
  const echo = listener.createStreamMuxer(b);
  echo.addEventListener("stream", ({ detail }) => void answer(detail as Stream));
  return dialler.createStreamMuxer(a);
}

async function answer(stream: Stream): Promise<void> {
  const framed = frame(stream);
  for (let one = await framed.read(2 ** 20); one !== undefined; one = await framed.read(2 ** 20))
    await framed.write(one);
  await framed.close();
}

const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * seed) >> 3);

test.each([
  ["ours with ours, in pieces of 7 bytes", ours(), ours(), 7, 3000],
  ["ours with the library's", ours(), theirs(), 1000, 600_000],
  ["the library's with ours", theirs(), ours(), 65_536, 600_000],
])(
  "%s: frames on several streams come back whole, and so does each end",
  async (_name, a, b, pieceBytes, frameBytes) => {
    const muxer = connect(a, b, pieceBytes);
    const echoed = [1, 2, 3].map(async (seed) => {
      const stream = frame((await muxer.createStream()) as Stream);
      for (const length of [0, 1, frameBytes]) {
        const sent = bytes(length, seed);
        await stream.write(sent);
        expect(Buffer.compare((await stream.read(2 ** 20))!, sent)).toBe(0);
      }
      await stream.close();
      expect(await stream.read(1)).toBeUndefined();
    });
    await Promise.all(echoed);
    await expect.poll(() => muxer.streams.length).toBe(0);
  },
);

test("what arrives where it is wanted is counted in order with the rest, a chunk of several frames included", async () => {
  const muxer = connect(ours(), ours(), 65_536);
  const stream = frame((await muxer.createStream()) as Stream);
  const [first, second] = [bytes(300_000, 5), bytes(70, 9)];
  await Promise.all([stream.write(first), stream.write(second)]);
  expect(await stream.readLength(2 ** 20)).toBe(first.length);
  const head = new Uint8Array(10);
  await stream.readInto(head);
  const rest = new Uint8Array(first.length - head.length);
  let counted = 0;
  await stream.readInto(rest, (count) => {
    counted += count;
    expect(Buffer.compare(rest.subarray(0, counted), first.subarray(10, 10 + counted))).toBe(0);
  });
  expect(counted).toBe(rest.length);
  expect(Buffer.compare((await stream.read(100))!, second)).toBe(0);
  const failing = new Error("no room");
  await stream.write(first);
  await stream.readLength(2 ** 20);
  const thrown = stream.readInto(new Uint8Array(first.length), () => {
    throw failing;
  });
  await expect(thrown).rejects.toBe(failing);
});

test.each([
  ["a new stream", [[1, 300_000]]],
  [
    "an open stream",
    [
      [1, 100_000],
      [0, 300_000],
    ],
  ],
])("a frame that exceeds the window of %s ends the connection, before all of it is here", async (_name, frames) => {
  const [a, b] = multiaddrConnectionPair();
  const ended = new Promise<Error | undefined>((resolve) => {
    b.addEventListener("close", ({ error }) => resolve(error));
  });
  ours().createStreamMuxer(b);
  for (const [flag, length] of frames as [number, number][]) {
    const header = new DataView(new ArrayBuffer(12));
    header.setUint16(2, flag);
    header.setUint32(4, 1);
    header.setUint32(8, length);
    a.send(new Uint8Array(header.buffer));
    a.send(new Uint8Array(Math.min(length, 100_000)));
  }
  expect(await ended).toMatchObject({ name: "ReceiveWindowExceededError" });
});

test("a frame of another version ends the connection", async () => {
  const [a, b] = multiaddrConnectionPair();
  ours().createStreamMuxer(b);
  a.send(Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0));
  await expect.poll(() => b.status).toBe("aborted");
});

// Loaded into every process of a test network with --import; it acts in the relay alone. Writes down all bytes of all
// streams on every level that the relay terminates: sockets, what it decrypts, multiplexed streams, circuits.
import fs from "node:fs";
import { registerHooks } from "node:module";
import path from "node:path";
import process from "node:process";
import type { StreamMessageEvent } from "@libp2p/interface";
import { AbstractMessageStream } from "@libp2p/utils";

type Bytes = StreamMessageEvent["data"];

const folder = process.env.SKYNET_TEST_CAPTURE;

function capture(into: string): void {
  fs.mkdirSync(into, { recursive: true });
  const files = new WeakMap<object, number>();
  let count = 0;
  const pending = new Map<string, Uint8Array[]>();
  const note = (stream: object, direction: string, data: Bytes) => {
    if (!files.has(stream)) files.set(stream, count++);
    const file = `${files.get(stream)}-${direction}`;
    const chunks = pending.get(file) ?? [];
    pending.set(file, chunks);
    for (const chunk of data instanceof Uint8Array ? [data] : data) chunks.push(Uint8Array.from(chunk));
  };
  const flush = () => {
    for (const [file, chunks] of pending) fs.appendFileSync(path.join(into, file), Buffer.concat(chunks));
    pending.clear();
  };
  setInterval(flush, 200).unref();
  process.on("exit", flush);
  const { prototype } = AbstractMessageStream as unknown as {
    prototype: { onData(this: object, data: Bytes): void; send(this: object, data: Bytes): boolean };
  };
  const { onData, send } = prototype;
  prototype.onData = function heard(data) {
    note(this, "in", data);
    return onData.call(this, data);
  };
  prototype.send = function said(data) {
    note(this, "out", data);
    return send.call(this, data);
  };
}

/** The command has its own copy of libp2p in its bundle; from its sources it shares the one that is patched here. */
function runFromSource(): void {
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier.replace(/packages\/node\/build\/main\.js$/, "packages/node/src/cli/main.ts"), context),
  });
}

if (folder !== undefined && process.argv[2] === "relay") {
  runFromSource();
  capture(folder);
}

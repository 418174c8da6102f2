// Worker thread: the internet. Takes packets from the devices, holds or drops them as the lines say, and delivers them.
import { workerData } from "node:worker_threads";
import { createChance, Line, LINE_NUMBERS } from "./line.ts";
import { PacketQueue } from "./packet-queue.ts";
import { Poller, readPacket, writePacket } from "./tun.ts";

/** What the thread is given: for each line to the internet its device and IPv4 address. */
export interface ForwarderData {
  readonly lines: readonly { readonly fd: number; readonly address: string }[];
  readonly seed: number;
  /** {@link LINE_NUMBERS} for each line's way up, then for each one's way down. */
  readonly memory: SharedArrayBuffer;
  /** Set to 1 to end the thread. */
  readonly stop: Int32Array<SharedArrayBuffer>;
}

const MAX_PACKET_BYTES = 1536;
/** 100 Mbit/s with 200 ms are 1,700 packets. */
const SLOTS = 16_384;
/** From one device before the others have their turn. */
const BURST = 64;
const IDLE_MS = 20;
const IPV4_HEADER_BYTES = 20;

const { lines, seed, memory, stop } = workerData as ForwarderData;
const numbers = (index: number) => new Float64Array(memory, index * LINE_NUMBERS * 8, LINE_NUMBERS);
const up = lines.map((_, i) => new Line(numbers(i), createChance(1000 * seed + 2 * i)));
const down = lines.map((_, i) => new Line(numbers(lines.length + i), createChance(1000 * seed + 2 * i + 1)));
const lineOf = new Map(lines.map(({ address }, i) => [toNumber(address), i]));
const queue = new PacketQueue(SLOTS, MAX_PACKET_BYTES);
const lengths = new Int32Array(SLOTS);
const receivers = new Int32Array(SLOTS);
/** Whether a packet is on the receiver's line already. */
const arriving = new Uint8Array(SLOTS);
const exits = new Float64Array(2);
const scratch = new Uint8Array(MAX_PACKET_BYTES);

function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Line of an IPv4 packet's destination; -1 for everything else, which is dropped. */
function receiverOf(packet: Uint8Array, length: number): number {
  if (length < IPV4_HEADER_BYTES || packet[0]! >> 4 !== 4) return -1;
  const address = ((packet[16]! * 256 + packet[17]!) * 256 + packet[18]!) * 256 + packet[19]!;
  return lineOf.get(address) ?? -1;
}

/** Sends the packet of a slot along a line. */
function enter(line: Line, slot: number, nowMs: number): void {
  const copies = line.take(nowMs, lengths[slot]!, exits);
  if (copies === 0) return queue.release(slot);
  const [exitMs, secondMs] = [exits[0]!, exits[1]!];
  const second = copies === 2 ? queue.claim() : -1;
  queue.push(slot, exitMs);
  if (second < 0) return;
  queue.packets[second]!.set(queue.packets[slot]!);
  lengths[second] = lengths[slot]!;
  receivers[second] = receivers[slot]!;
  arriving[second] = arriving[slot]!;
  queue.push(second, secondMs);
}

function collect(sender: number): void {
  for (let i = 0; i < BURST; i++) {
    const slot = queue.claim();
    const length = readPacket(lines[sender]!.fd, slot < 0 ? scratch : queue.packets[slot]!);
    if (slot < 0) {
      if (length === 0) return;
      continue; // No room: the packet is lost.
    }
    const receiver = length === 0 ? -1 : receiverOf(queue.packets[slot]!, length);
    if (receiver < 0) queue.release(slot);
    if (length === 0) return;
    if (receiver < 0) continue;
    lengths[slot] = length;
    receivers[slot] = receiver;
    arriving[slot] = 0;
    // The time after the packet was read: one taken before it could be earlier than the packet, on a busy machine.
    enter(up[sender]!, slot, performance.now());
  }
}

function deliverUntil(nowMs: number): void {
  while (queue.nextMs <= nowMs) {
    const slot = queue.pop();
    const receiver = receivers[slot]!;
    if (arriving[slot] === 0) {
      arriving[slot] = 1;
      enter(down[receiver]!, slot, queue.timesMs[slot]!);
      continue;
    }
    writePacket(lines[receiver]!.fd, queue.packets[slot]!, lengths[slot]!);
    queue.release(slot);
  }
}

const poller = new Poller(lines.map(({ fd }) => fd));
while (Atomics.load(stop, 0) === 0) {
  poller.wait(Math.min(Math.max(queue.nextMs - performance.now(), 0), IDLE_MS));
  for (let i = 0; i < lines.length; i++) if (poller.ready(i)) collect(i);
  deliverUntil(performance.now());
}

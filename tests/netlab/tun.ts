// TUN devices: the kernel hands their packets to this process and takes packets from it (Linux, tuntap.rst).
import fs from "node:fs";
import koffi from "koffi";

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
/** Packets come without a header that names the protocol. */
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
const POLLIN = 1;

const libc = koffi.load(null);
const ioctl = libc.func("int ioctl(int, unsigned long, void *)") as (fd: number, call: number, arg: Buffer) => number;
const read = libc.func("long read(int, void *, size_t)") as (fd: number, to: Uint8Array, bytes: number) => number;
const write = libc.func("long write(int, void *, size_t)") as (fd: number, from: Uint8Array, bytes: number) => number;
const ppoll = libc.func("int ppoll(void *, unsigned long, void *, void *)") as (
  fds: Int32Array,
  count: number,
  timeout: BigInt64Array,
  signals: null,
) => number;

/** Makes a device that lasts until the file is closed. @returns its file descriptor, which does not block */
export function openTun(name: string): number {
  const { O_RDWR, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync("/dev/net/tun", O_RDWR | O_NONBLOCK);
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name, 0, NAME_BYTES - 1, "latin1");
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, NAME_BYTES);
  if (ioctl(fd, TUNSETIFF, request) === 0) return fd;
  const errno = koffi.errno();
  fs.closeSync(fd);
  throw new Error(`the device ${name} cannot be made: error ${errno} of the system`);
}

/** The next packet of a device. @returns its length, 0 when none waits */
export function readPacket(fd: number, to: Uint8Array): number {
  return Math.max(0, read(fd, to, to.length));
}

/** Gives the kernel a packet. @returns whether it took it */
export function writePacket(fd: number, packet: Uint8Array, length: number): boolean {
  return write(fd, packet, length) === length;
}

/** Waits for packets on several devices. */
export class Poller {
  readonly #fds: Int32Array;
  readonly #timeout = new BigInt64Array(2);

  constructor(fds: readonly number[]) {
    // struct pollfd: descriptor, then wanted and found events of 16 bits each.
    this.#fds = Int32Array.from(fds.flatMap((fd) => [fd, POLLIN]));
  }

  /** Waits until a packet is there or the time (below a second) has passed. */
  wait(timeoutMs: number): void {
    this.#timeout[1] = BigInt(Math.round(timeoutMs * 1e6));
    ppoll(this.#fds, this.#fds.length / 2, this.#timeout, null);
  }

  ready(index: number): boolean {
    return this.#fds[2 * index + 1]! >> 16 !== 0;
  }
}

// Measures a network from inside, on a machine of a lab. Reports over the IPC channel. Tasks:
// serve; measure ADDRESS UDPPORT TCPPORT PACKETS SECONDS; seen ADDRESS UDPPORT ADDRESS UDPPORT ...; dial ADDRESS TCPPORT
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

export interface Measured {
  /** Of the echoed packets, in the order in which they were sent. */
  readonly roundTripsMs: readonly number[];
  readonly sent: number;
  /** Different packets that came back. */
  readonly echoed: number;
  /** Packets that came back a second time. */
  readonly doubled: number;
  /** Packets that came back after one that was sent later. */
  readonly overtaken: number;
  /** Of one TCP stream, without headers: megabits a second. */
  readonly tcpMbitPerSecond: number;
}

const PACKET_BYTES = 200;
const GAP_MS = 2;
const LAST_ECHO_MS = 600;

/** Echoes UDP packets, tells where empty ones came from, and answers a TCP stream with the number of its bytes. */
async function serve(): Promise<void> {
  const udp = dgram.createSocket("udp4");
  udp.on("message", (packet, { port, address }) =>
    udp.send(packet.length > 0 ? packet : `${address}:${port}`, port, address),
  );
  udp.bind(0);
  const tcp = net.createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0;
    socket.on("data", (chunk) => void (bytes += chunk.length));
    socket.on("end", () => socket.end(String(bytes)));
    socket.on("error", () => undefined);
  });
  tcp.listen(0, "0.0.0.0");
  await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
  process.send!({ udpPort: udp.address().port, tcpPort: (tcp.address() as net.AddressInfo).port });
}

async function echoes(address: string, port: number, count: number): Promise<Omit<Measured, "tcpMbitPerSecond">> {
  const socket = dgram.createSocket("udp4");
  const sentMs = new Float64Array(count);
  const trips = new Map<number, number>();
  let [doubled, overtaken, newest] = [0, 0, -1];
  socket.on("message", (packet) => {
    const number = packet.readUInt32BE(0);
    if (trips.has(number)) return void (doubled += 1);
    trips.set(number, performance.now() - sentMs[number]!);
    if (number < newest) overtaken += 1;
    newest = Math.max(newest, number);
  });
  for (let i = 0; i < count; i++) {
    const packet = Buffer.alloc(PACKET_BYTES);
    packet.writeUInt32BE(i, 0);
    sentMs[i] = performance.now();
    socket.send(packet, port, address);
    await delay(GAP_MS);
  }
  await delay(LAST_ECHO_MS);
  socket.close();
  return { roundTripsMs: [...trips.values()], sent: count, echoed: trips.size, doubled, overtaken };
}

async function stream(address: string, port: number, seconds: number): Promise<number> {
  if (seconds === 0) return 0;
  const socket = net.connect(port, address);
  await once(socket, "connect");
  const startMs = performance.now();
  const chunk = Buffer.alloc(64 * 1024);
  while (performance.now() - startMs < 1000 * seconds) if (!socket.write(chunk)) await once(socket, "drain");
  socket.end();
  let answer = "";
  for await (const part of socket) answer += String(part);
  return (Number(answer) * 8) / 1e3 / (performance.now() - startMs);
}

/** How the servers see one socket of this machine: address and port, as each of them answers. */
async function seen(servers: readonly string[]): Promise<string[]> {
  const socket = dgram.createSocket("udp4");
  const answers: string[] = [];
  for (let i = 0; i < servers.length; i += 2) {
    const answer = once(socket, "message") as Promise<[Buffer]>;
    socket.send(Buffer.alloc(0), Number(servers[i + 1]), servers[i]);
    answers.push((await answer)[0].toString());
  }
  socket.close();
  return answers;
}

/** Whether a TCP connection comes about within two seconds. */
async function dial(address: string, port: number): Promise<boolean> {
  const socket = net.connect(port, address);
  const outcome = await Promise.race([
    once(socket, "connect").then(
      () => true,
      () => false,
    ),
    delay(2000, false),
  ]);
  socket.destroy();
  return outcome;
}

const [task, ...rest] = process.argv.slice(2) as [string, ...string[]];
const [address, ...numbers] = [rest[0]!, ...rest.slice(1).map(Number)] as [string, ...number[]];
const report = (message: unknown) => process.send!(message, () => process.disconnect());
if (task === "serve") await serve();
if (task === "seen") report(await seen(rest));
if (task === "dial") report(await dial(address, numbers[0]!));
if (task === "measure") {
  const udp = await echoes(address, numbers[0]!, numbers[2]!);
  const tcpMbitPerSecond = await stream(address, numbers[1]!, numbers[3]!);
  report({ ...udp, tcpMbitPerSecond } satisfies Measured);
}

import path from "node:path";
import { checkMultiaddrs } from "@skynet/network";
import { InvalidInputError, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { readInputFile } from "../../runtime/files.ts";
import { parseYaml } from "../../yaml-file.ts";
import { duration, size } from "./units.ts";

const count = (most = 10_000_000) => z.number("write a whole number").int("write a whole number").min(1).max(most);
const fileName = z.string("write the name of a file").min(1);

const address = z.string("write a multiaddr, such as /ip4/0.0.0.0/tcp/60000").refine((text) => {
  try {
    checkMultiaddrs([text]);
    return true;
  } catch {
    return false;
  }
}, "not a multiaddr; write one such as /ip4/0.0.0.0/tcp/60000, /ip4/0.0.0.0/udp/60000/quic-v1 or /dns4/relay.example.org/tcp/443/wss");

/** HOST:PORT of the metrics, or "off". */
export const endpoint = z
  .string("write HOST:PORT or off")
  .regex(/^(off|(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5})$/, "write HOST:PORT, such as 127.0.0.1:9464, or off")
  .transform((text) => {
    if (text === "off") return undefined;
    const at = text.lastIndexOf(":");
    return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
  })
  .refine((value) => value === undefined || value.port <= 65_535, "a port is at most 65535");

const rate = z.strictObject({ perSecond: z.number().positive(), burst: count() });

const limitsSchema = z
  .strictObject({
    connections: count(1_000_000),
    connectionsPerAddress: count(),
    connectionsPerPeer: count(),
    connectionBurst: count(),
    connectionsPerSecond: z.number().positive(),
    pendingConnections: count(),
    pendingPerAddress: count(),
    handshake: duration,
    streams: count(),
    streamsPerProtocol: count(),
    negotiation: duration,
    stall: duration,
    bufferedPerConnection: size,
    unsentPerStream: size,
    buffered: size,
    gossipFrame: size,
    messagesPerSecond: z.number().positive(),
    bytesPerSecond: size,
    messagesPerSecondOfAll: z.number().positive(),
    bytesPerSecondOfAll: size,
    banAt: z.number().positive(),
    halfLife: duration,
    ban: duration,
    bannedPeersPerAddress: count(),
    standing: duration,
    exemptLoopback: z.boolean(),
  })
  .partial()
  .transform(({ handshake, negotiation, stall, halfLife, ban, standing, ...rest }) =>
    defined({
      ...rest,
      handshakeMs: handshake,
      negotiationMs: negotiation,
      stallMs: stall,
      halfLifeMs: halfLife,
      banMs: ban,
      standingMs: standing,
    }),
  );

const jobId = z
  .string()
  .regex(/^0x[0-9a-fA-F]{64}$/, "write the id of a job: 0x and 64 digits")
  .transform((text) => text.toLowerCase() as Hex);

/** The keys of a relay's configuration file. */
export const relayConfigSchema = z.strictObject({
  keystore: fileName.optional(),
  passphraseFile: fileName.optional(),
  data: fileName.optional(),
  listen: z.array(address).min(1).max(16).optional(),
  announce: z.array(address).max(8).optional(),
  upnp: z.boolean("write true or false").optional(),
  relays: z.array(address).max(64).optional(),
  bootstrap: z.string("write FILE#0xADDRESS or URL#0xADDRESS").min(1).optional(),
  rpc: z.string("write the URL of a chain").min(1).optional(),
  register: z.boolean("write true or false").optional(),
  network: z
    .strictObject({ cluster: z.number().int().min(1).max(65_535), shard: z.number().int().min(0).max(1023) })
    .partial()
    .optional(),
  stun: z
    .union([z.literal("off"), z.number().int().min(0).max(65_535)], "write a UDP port, such as 3478, or off")
    .optional(),
  tls: z.strictObject({ cert: fileName, key: fileName }).optional(),
  metrics: endpoint.optional(),
  log: z
    .strictObject({ level: z.enum(["debug", "info", "warn", "error"]), to: z.enum(["file", "stderr"]) })
    .partial()
    .optional(),
  store: z
    .strictObject({ kind: z.enum(["disk", "memory"]), maxAge: duration, maxSize: size, maxMessages: count(1e9) })
    .partial()
    .optional(),
  limits: limitsSchema.optional(),
  services: z
    .strictObject({
      store: rate,
      filter: rate,
      lightPush: rate,
      metadata: rate,
      peerExchange: rate,
      filterPeers: count(),
      filterTopicsPerPeer: count(),
      filterIdle: duration,
    })
    .partial()
    .optional(),
  circuits: z
    .strictObject({
      reservations: count(1_000_000),
      perAddress: count(1_000_000),
      reservationTime: duration,
      data: size,
      time: duration,
      perNode: count(10_000),
      open: count(1_000_000),
      bytesPerSecond: size,
    })
    .partial()
    .optional(),
  shutdown: duration.optional(),
  sponsor: z
    .strictObject({
      jobs: z.array(jobId).max(1000).default([]),
      dayMgas: count(1_000_000).default(200),
      workerMgas: count(1_000_000).default(40),
    })
    .optional(),
});

/** A relay's configuration: times in milliseconds, sizes in bytes, file names absolute. */
export type RelayConfig = z.output<typeof relayConfigSchema>;

/** Without the entries that are undefined, so that defaults show through. */
export function defined<Value extends object>(value: Value): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}

/**
 * Reads a configuration file; names in it are relative to its folder.
 * @throws FileError `FileNotFound`; InvalidInputError `BadRelayConfig` that names line, key and what to write
 */
export async function readRelayConfig(file: string): Promise<RelayConfig> {
  const text = new TextDecoder().decode(await readInputFile(file, "the configuration file"));
  return withAbsoluteNames(parseRelayConfig(text, file), path.dirname(path.resolve(file)));
}

/** @throws InvalidInputError `BadRelayConfig` */
export function parseRelayConfig(text: string, file = "relay.yaml"): RelayConfig {
  const result = parseYaml(text, relayConfigSchema);
  if (result.ok) return result.value;
  throw new InvalidInputError(
    "BadRelayConfig",
    `${file}:\n${result.problems.map((text) => `  - ${text}`).join("\n")}`,
    {
      hint: "npx skynet relay --print-config shows every key with its default",
    },
  );
}

function withAbsoluteNames(config: RelayConfig, folder: string): RelayConfig {
  const absolute = (name: string) => path.resolve(folder, name);
  const { keystore, passphraseFile, data, tls } = config;
  return {
    ...config,
    ...(keystore === undefined ? {} : { keystore: absolute(keystore) }),
    ...(passphraseFile === undefined ? {} : { passphraseFile: absolute(passphraseFile) }),
    ...(data === undefined ? {} : { data: absolute(data) }),
    ...(tls === undefined ? {} : { tls: { cert: absolute(tls.cert), key: absolute(tls.key) } }),
  };
}

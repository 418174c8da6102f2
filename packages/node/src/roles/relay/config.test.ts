import { limitsOf } from "@skynet/network";
import { expect, it } from "vitest";
import { parseRelayConfig, relayConfigSchema } from "./config.ts";
import { DEFAULT_CONFIG } from "./default-config.ts";

const problemsOf = (text: string): string => {
  try {
    parseRelayConfig(text, "relay.yaml");
    return "";
  } catch (error) {
    return (error as Error).message;
  }
};

it("the file that --print-config writes is read, and its limits are the defaults", () => {
  const { limits, listen, store, shutdown } = parseRelayConfig(DEFAULT_CONFIG);
  expect(limitsOf(true)).toMatchObject(limits!);
  expect(listen).toEqual(["/ip4/127.0.0.1/tcp/0"]);
  expect(store).toEqual({ kind: "disk", maxAge: 7 * 86_400_000, maxSize: 1024 ** 3 });
  expect(shutdown).toBe(10_000);
});

it("it shows every key, and those that are comments are read too when they are wanted", () => {
  const everything = DEFAULT_CONFIG.replaceAll(/^# (?=( *- |[a-zA-Z]+:( |$)| {2}[a-zA-Z]+: ))/gm, "").replace(
    /^listen:\n( {2}- .*\n)+(?=listen)/m,
    "",
  );
  const config = parseRelayConfig(everything);
  expect(Object.keys(config).toSorted()).toEqual(Object.keys(relayConfigSchema.shape).toSorted());
  expect(config.sponsor).toMatchObject({ dayMgas: 200, workerMgas: 40 });
});

it("an empty file and one of comments mean the defaults", () => {
  expect(parseRelayConfig("")).toEqual({});
  expect(parseRelayConfig("# nothing\n")).toEqual({});
});

it.each([
  [
    "an unknown key",
    "limits:\n  conections: 5",
    /line 2: unknown key "limits.conections"; the nearest .*"connections"/,
  ],
  ["a wrong type", "log:\n  level: info\n  to: syslog", /line 3: log\.to: .*"file"\|"stderr"/],
  ["a number without unit", "\nstore:\n  maxAge: 7", /line 3: store\.maxAge: write a time with its unit/],
  ["a size with another unit", "store: { maxSize: 5GB }", /line 1: store\.maxSize: write a size with its unit/],
  ["no multiaddr", "listen:\n  - 0.0.0.0:60000", /line 2: listen\.0: not a multiaddr; write one such as \/ip4/],
  ["a half certificate", "tls:\n  cert: a.pem", /tls\.key: write the name|tls\.key: /],
  ["broken YAML", "listen: [", /line 1: /],
  ["a bad endpoint", "metrics: 9464", /line 1: metrics: write HOST:PORT or off/],
  ["a port that is none", "metrics: 127.0.0.1:99999", /a port is at most 65535/],
  ["an alias", "listen: &here\n  - /ip4/127.0.0.1/tcp/0\nrelays: *here", /line 3: \*here is an alias; write the value/],
  ["an alias without its anchor", "limits: *none", /line 1: /],
  ["a rate of nothing", "limits:\n  bytesPerSecond: 0B", /line 2: limits\.bytesPerSecond: write more than zero/],
  ["a time of nothing", "limits:\n  handshake: 0ms", /line 2: limits\.handshake: write more than zero/],
  ["no time to stop", "shutdown: 0.1ms", /line 1: shutdown: write more than zero/],
])("%s is named with its line and what to write", (_name, text, message) => {
  expect(problemsOf(text)).toMatch(/^relay\.yaml:\n {2}- /);
  expect(problemsOf(text)).toMatch(message);
});

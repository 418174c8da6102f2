import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@skynet/swarm";

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : {}),
};

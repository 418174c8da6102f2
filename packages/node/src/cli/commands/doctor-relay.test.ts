import { expect, test } from "vitest";
import { checkRelay } from "./doctor-relay.ts";

test("doctor names a relay that does not answer, and why, whatever the transport", async () => {
  const relays = ["/ip4/127.0.0.1/tcp/9", "/ip4/127.0.0.1/tcp/9/ws"];
  const checks = await Promise.all(relays.map((relay) => checkRelay(relay, undefined, 1500)));
  for (const [i, { ok, found, mend }] of checks.entries()) {
    expect(ok).toBe(false);
    expect(found).toContain(`no answer within 1.5 s: ${relays[i]} (`);
    expect(found).toMatch(/ECONNREFUSED|refused or closed/);
    expect(mend).toContain("--relay");
  }
});

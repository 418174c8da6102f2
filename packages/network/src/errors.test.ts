import { expect, test } from "vitest";
import { createHost } from "./host/host.ts";
import { identityOf } from "./testing.ts";
import { NetworkError, reasonOf } from "./errors.ts";

test("whatever was thrown has a reason that tells something", () => {
  expect(reasonOf(new NetworkError("Stalled", "too slow"))).toBe("too slow");
  expect(reasonOf({ message: "", error: new Error("connect ECONNREFUSED") })).toBe("connect ECONNREFUSED");
  expect(reasonOf(new AggregateError([new Error("no route"), new Error("no route"), "dead"]))).toBe("no route, dead");
  expect(reasonOf(new Event("error"))).toBe("the connection was refused or closed");
  expect(reasonOf("gone")).toBe("gone");
});

test("a relay that refuses WebSockets is shown with the reason", async () => {
  const host = await createHost({ identity: identityOf(1), listen: [], relays: ["/ip4/127.0.0.1/tcp/9/ws"] });
  await expect.poll(() => host.relays()[0]?.reason).toMatch(/ECONNREFUSED|refused or closed/);
  await host.stop();
});

import { expect, test } from "vitest";
import { scopeOfHost, type Scope } from "./scope.ts";

test("each address and name is as public as anybody outside would find it", () => {
  const hosts: Record<Scope, string[]> = {
    loopback: ["", "127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::7f00:1"],
    private: ["10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.0.9", "100.64.0.1", "224.0.0.1", "255.255.255.255"],
    public: ["9.9.9.9", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:9.9.9.9", "::ffff:909:909"],
  };
  hosts.loopback.push("localhost", "LOCALHOST", "a.localhost", "127.1", "2130706433", "0x7f.1");
  hosts.private.push("::ffff:10.0.0.1", "fd00::1", "fe80::1%eth0", "febf::1", "ff02::1", "printer", "printer.local");
  hosts.public.push("example.org", "1.example.org", "fec0::1");
  for (const [scope, list] of Object.entries(hosts))
    for (const host of list) expect(`${host} ${scopeOfHost(host)}`).toBe(`${host} ${scope}`);
});

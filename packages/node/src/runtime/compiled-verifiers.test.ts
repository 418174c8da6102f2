import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { compileVerifier, compilerInput } from "@skynet/proof";
import { encode, keccak256 } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { compileVerifierOnce } from "./compiled-verifiers.ts";

const source =
  "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\ncontract ProofVerifier { uint256 public one = 1; }\n";
let home = "";
beforeAll(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-compiled-"));
  vi.stubEnv("SKYNET_HOME", home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await fs.rm(home, { recursive: true });
});

test("a verifier is compiled once; a damaged or foreign entry is not believed, but made again", async () => {
  const wanted = await compileVerifier(source);
  expect(await compileVerifierOnce(source)).toEqual(wanted);
  const [name] = await fs.readdir(path.join(home, "compiled"));
  const file = path.join(home, "compiled", name!);
  const whole = await fs.readFile(file);

  const key = keccak256(new TextEncoder().encode(compilerInput(source)));
  const content = encode({ initcode: "0x01", runtime: "0x02" });
  await fs.writeFile(file, encode({ content, check: keccak256(key, content) }));
  expect(await compileVerifierOnce(source), "it is read").toEqual({ initcode: "0x01", runtime: "0x02" });

  const entries = [
    whole.subarray(0, 100),
    new Uint8Array(),
    encode({ content, check: keccak256(content) }),
    Buffer.concat([whole.subarray(0, 50), Uint8Array.of(whole[50]! ^ 1), whole.subarray(51)]),
  ];
  for (const bytes of entries) {
    await fs.writeFile(file, bytes);
    expect(await compileVerifierOnce(source)).toEqual(wanted);
    expect(await fs.readFile(file)).toEqual(whole);
  }
});

import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import { openBlockStore } from "@skynet/storage";
import { expect, test } from "vitest";
import { jobPin, listingPin } from "../runtime/blocks.ts";
import { BlockAccess, openToMembers } from "./block-access.ts";

test("members of a job that names blocks of another job or of a listing cannot fetch them", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-access-"));
  const node = { blocks: await openBlockStore(folder), access: new BlockAccess() };
  const [own, later, others, listed] = await Promise.all(
    ["own", "later", "others", "listed"].map((text) => node.blocks.put(new TextEncoder().encode(text))),
  );
  const [member, spy]: Hex[] = [`0x${"01".repeat(20)}`, `0x${"02".repeat(20)}`];
  node.blocks.pin(listingPin("0x0b"), [listed!]);
  node.access.setMembers("0x0a", [member!]);
  openToMembers(node, "0x0a", [others!]);
  node.access.setMembers("0x0c", [spy!]);
  node.blocks.pin(`${jobPin("0x0c")}/round-1`, [own!]);
  for (const cids of [[own!], [own!, later!, others!, listed!]]) openToMembers(node, "0x0c", cids);
  expect([own, later, others, listed].filter((cid) => node.access.allows(spy!, cid!))).toEqual([own, later]);
  expect(node.access.allows(member!, others!)).toBe(true);
  expect(node.blocks.pinsOf(others!)).toEqual(["job:0x0a"]);
  node.blocks.close();
  await fs.rm(folder, { recursive: true });
});

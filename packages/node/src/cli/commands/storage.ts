import type { Command } from "commander";
import { addBlockStorage } from "./storage-blocks.ts";
import { addStorageFiles } from "./storage-files.ts";
import { addRemoteStorage } from "./storage-remote.ts";

/** `skynet storage`: what is kept on this machine and at storage services. */
export function addStorage(program: Command): void {
  const storage = program
    .command("storage")
    .description("files and blocks: those on this machine, and those at Lighthouse and pinning services");
  addBlockStorage(storage);
  addStorageFiles(storage);
  addRemoteStorage(storage);
}

import { rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { Option, type Command } from "commander";
import {
  downloadFile,
  StorageError,
  uploadFile,
  type PartTarget,
  type PinningService,
  type RemotePin,
  type Uploaded,
} from "@skynet/storage";
import { readAccount } from "../../remote/service-keys.ts";
import { openGateways, openIpfsNode, openLighthouse, openPinning } from "../../remote/services.ts";
import { saveRecord, unfinishedDir } from "../../remote/upload-records.ts";
import { FileError } from "../../runtime/files.ts";
import { lockFolder } from "../../runtime/lock.ts";
import { formatBytes } from "../format.ts";
import { forceOption, integer, type ForceOption } from "../options.ts";
import {
  byteCount,
  remoteCommand,
  serviceOption,
  urlOption,
  withRemote,
  type RemoteContext,
  type RemoteOptions,
} from "./storage-remote.ts";

interface UploadCommandOptions extends RemoteOptions {
  readonly public?: true;
  readonly parallel: number;
  readonly node?: string;
}

interface DownloadCommandOptions extends Omit<RemoteOptions, "service">, ForceOption {
  readonly gateway?: string[];
  readonly maxSize?: number;
  readonly parallel: number;
}

const parallelOption = (): Option =>
  new Option("--parallel <n>", "parts on their way at once").argParser(integer(1, 8)).default(3);

export function addTransferCommands(storage: Command): void {
  remoteCommand(storage, "upload", "store a file at a service, encrypted for yourself; run it again to go on", [
    "upload train.csv",
    "upload model.onnx --public",
    "upload train.csv --service pinning --node http://127.0.0.1:5001",
  ])
    .argument("<file>", "file to store")
    .addOption(serviceOption())
    .option("--public", "do not encrypt: everybody can read it, and its name")
    .addOption(urlOption())
    .option("--node <address>", "your IPFS daemon, from which a pinning service fetches (default: SKYNET_IPFS_NODE)")
    .addOption(parallelOption())
    .action((file: string, options: UploadCommandOptions) =>
      withRemote(options, (context) => upload(file, options, context)),
    );
  remoteCommand(storage, "download", "fetch a file from IPFS gateways, check it, and decrypt it if it is yours", [
    "download bafybei... train.csv",
    "download bafybei... train.csv --gateway https://example.mypinata.cloud",
  ])
    .argument("<cid>", "name that the upload gave, or the CID of any file of IPFS")
    .argument("<file>", "file to write")
    .option("--gateway <address...>", "gateways to ask in turn (default: SKYNET_GATEWAYS, else public ones)")
    .addOption(forceOption())
    .option("--max-size <bytes>", "most to write, such as 64GB (default: 68.7GB)", byteCount)
    .addOption(parallelOption())
    .action((cid: string, file: string, options: DownloadCommandOptions) =>
      withRemote(options, (context) => download(cid, file, options, context)),
    );
}

async function upload(file: string, options: UploadCommandOptions, context: RemoteContext) {
  const { ui, keys, signal } = context;
  const account = await readAccount(options.service, keys);
  if (options.service === "lighthouse") {
    const { target } = openLighthouse(account, context.http);
    return finish(file, await send(file, target, options, context), context);
  }
  const service = openPinning(account, context.http, options.url);
  const node = openIpfsNode(options.node, context.http);
  const uploaded = await send(file, node.target, options, context);
  const origins = await node.addresses(signal);
  if (origins.length === 0)
    ui.note("your IPFS node has no public address: the service may need long to find it, or never does");
  const name = options.public ? path.basename(file) : "encrypted";
  await pinAll(service, [...uploaded.parts, uploaded.cid], { name, origins, connect: node.connect }, context);
  return finish(file, uploaded, context);
}

async function send(
  file: string,
  target: PartTarget,
  options: UploadCommandOptions,
  { ui, keys, signal }: RemoteContext,
) {
  const stateDir = unfinishedDir(file);
  const unlock = lockUpload(stateDir, file);
  try {
    return await uploadFile({
      file,
      stateDir,
      target,
      recipients: options.public ? undefined : [(await keys.own()).recipient],
      concurrency: options.parallel,
      signal,
      onProgress: ({ phase, doneBytes, totalBytes }) => {
        ui.progress(`${phase} ${path.basename(file)}`, doneBytes, totalBytes);
        ui.event("progress", { phase, doneBytes, totalBytes });
      },
    });
  } finally {
    unlock();
    // An upload that is not finished keeps it.
    await rmdir(stateDir).catch(() => undefined);
  }
}

function lockUpload(stateDir: string, file: string): () => void {
  try {
    return lockFolder(stateDir);
  } catch (cause) {
    if (!(cause instanceof FileError) || cause.code !== "FolderInUse") throw cause;
    throw new StorageError("UploadFailed", `another process uploads ${file}`, {
      cause,
      hint: "wait for it, or stop it",
    });
  }
}

async function finish(file: string, uploaded: Uploaded, { ui }: RemoteContext) {
  const { cid, size, encrypted, parts, storedBytes, resumedParts } = uploaded;
  const name = path.basename(file);
  await saveRecord({ cid, name, size, encrypted, uploadedAt: new Date().toISOString(), parts: [...parts] });
  if (resumedParts > 0) ui.note(`${resumedParts} of ${parts.length} parts had been sent before`);
  ui.line(`stored    ${formatBytes(storedBytes)}, ${encrypted ? "encrypted: only your wallet opens it" : "public"}`);
  ui.line(`CID       ${cid}`);
  ui.line(`get it    npx skynet storage download ${cid} ${name.includes(" ") ? JSON.stringify(name) : name}`);
  return { file: path.resolve(file), ...uploaded };
}

interface PinAll {
  readonly name: string;
  readonly origins: readonly string[];
  readonly connect: (address: string, signal?: AbortSignal) => Promise<void>;
}

/** Has a service fetch every object of an upload, and waits until it has. */
async function pinAll(
  service: PinningService,
  cids: readonly string[],
  { name, origins, connect }: PinAll,
  { ui, signal }: RemoteContext,
): Promise<void> {
  const met = new Set<string>();
  const pins: RemotePin[] = [];
  for (const cid of new Set(cids)) {
    const pin = await service.pin({ cid, name, origins, signal });
    pins.push(pin);
    // Connections in both directions are tried, and none of them has to work (specification, "Provider hints").
    for (const address of pin.delegates.filter((delegate) => !met.has(delegate)))
      await connect(address, signal).catch(() => signal.throwIfAborted());
    for (const address of pin.delegates) met.add(address);
  }
  for (const [done, { id }] of pins.entries()) {
    ui.progress("pinned objects", done, pins.length);
    await service.wait(id, { signal, onStatus: ({ status, details }) => ui.status(`${status} ${details}`) });
  }
  ui.status("");
  ui.progress("pinned objects", pins.length, pins.length);
}

async function download(cid: string, file: string, options: DownloadCommandOptions, context: RemoteContext) {
  const { ui, keys, http, signal } = context;
  const target = (await stat(file).catch(() => undefined))?.isDirectory() ? path.join(file, cid) : file;
  const downloaded = await downloadFile({
    cid,
    file: target,
    gateways: openGateways(options.gateway, http),
    identity: async () => (await keys.own()).identity,
    overwrite: options.force ?? false,
    concurrency: options.parallel,
    signal,
    onProgress: ({ phase, doneBytes, totalBytes }) => {
      ui.progress(`${phase} ${path.basename(target)}`, doneBytes, totalBytes);
      ui.event("progress", { phase, doneBytes, totalBytes });
    },
    ...(options.maxSize === undefined ? {} : { maxBytes: options.maxSize }),
  });
  if (downloaded.resumedBytes > 0) ui.note(`${formatBytes(downloaded.resumedBytes)} had been fetched before`);
  ui.line(`${target}: ${formatBytes(downloaded.size)}, checked${downloaded.encrypted ? " and decrypted" : ""}`);
  return { ...downloaded, file: path.resolve(target), cid };
}

import { type Command } from "commander";
import { filecoinDeals, StorageError, type RemoteObject } from "@skynet/storage";
import { KEY_VARIABLES, readAccount, saveAccount, titleOf } from "../../remote/service-keys.ts";
import { lighthouseApi, openLighthouse, openPinning } from "../../remote/services.ts";
import { readRecords, type UploadRecord } from "../../remote/upload-records.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { readFileOrInput } from "../../wallet/private-key.ts";
import { formatBytes } from "../format.ts";
import { tableText } from "../table.ts";
import {
  openService,
  remoteCommand,
  serviceOption,
  serviceTitle,
  urlOption,
  withRemote,
  type RemoteContext,
  type RemoteOptions,
} from "./storage-remote.ts";

interface LoginOptions extends RemoteOptions {
  readonly keyFile?: string;
}

interface PinCommandOptions extends RemoteOptions {
  readonly name?: string;
  readonly origin?: string[];
  readonly wait: boolean;
}

export function addAccountCommands(storage: Command): void {
  addLogin(storage);
  const list = remoteCommand(storage, "list", "list what a service keeps for you", ["list", "list --service pinning"]);
  list
    .addOption(serviceOption())
    .addOption(urlOption())
    .option("--all", "show every part of a file as well")
    .action((options: RemoteOptions & { all?: true }) => withRemote(options, (context) => show(options, context)));
  remoteCommand(storage, "quota", "show how much room is left at Lighthouse", ["quota"]).action(
    (options: RemoteOptions) => withRemote(options, quota),
  );
  remoteCommand(storage, "deals", "show with whom on Filecoin a file is stored", ["deals bafybei..."])
    .argument("<cid>", "name of an upload, or any other CID")
    .action((cid: string, options: RemoteOptions) => withRemote(options, (context) => deals(cid, context)));
  addPin(storage);
  remoteCommand(storage, "remove", "have a service forget an object; the CID of an upload means all of its parts", [
    "remove bafybei...",
    "remove 5f0c2a --service pinning",
  ])
    .argument("<id>", "CID of an upload, or an id that list --all shows")
    .addOption(serviceOption())
    .addOption(urlOption())
    .action((id: string, options: RemoteOptions) => withRemote(options, (context) => remove(id, options, context)));
}

function addLogin(storage: Command): void {
  remoteCommand(storage, "login", "check and keep the key of a service, encrypted with your wallet", [
    "login",
    "login --key-file key.txt",
    "login --service pinning --url https://api.example.com/psa",
  ])
    .addOption(serviceOption())
    .addOption(urlOption())
    .option("--key-file <file>", "file with the key; - for standard input (default: it is asked for)")
    .action((options: LoginOptions) => withRemote(options, (context) => login(options, context)));
}

async function login(options: LoginOptions, { ui, keys, http, signal }: RemoteContext) {
  const { service } = options;
  const account = { key: await newKey(options), url: service === "pinning" ? options.url : undefined };
  // A key that does not work is better known now than in the middle of an upload.
  if (service === "lighthouse") {
    const { remaining } = await openLighthouse(account, http).quota({ signal });
    ui.line(`the key works; ${formatBytes(remaining)} are left`);
  } else {
    await openPinning(account, http, options.url).list({ signal }).next();
    ui.line("the key works");
  }
  const file = await saveAccount(service, account, keys);
  ui.line(`kept in ${file}, encrypted with your wallet`);
  return { service, file };
}

async function newKey({ service, keyFile }: LoginOptions): Promise<string> {
  if (keyFile !== undefined)
    return new TextDecoder().decode(await readFileOrInput(keyFile, "the file with the key")).trim();
  return readPassphrase({ variable: KEY_VARIABLES[service], option: "--key-file" }, `Key of ${titleOf(service)}`).catch(
    (cause: unknown) => {
      throw new StorageError("NoApiKey", `there is no key of ${titleOf(service)} to keep, and no terminal to ask on`, {
        cause,
        hint: `use --key-file FILE, or set ${KEY_VARIABLES[service]}`,
      });
    },
  );
}

async function show(options: RemoteOptions & { all?: true }, context: RemoteContext) {
  const { ui, signal } = context;
  const service = await openService(options, context);
  const records = new Map((await readRecords()).map((record) => [record.cid, record]));
  const parts = new Set([...records.values()].flatMap((record) => record.parts));
  const objects: RemoteObject[] = [];
  for await (const object of service.list({ signal })) {
    objects.push(object);
    ui.status(`${objects.length} objects`);
  }
  ui.status("");
  const shown = options.all ? objects : objects.filter(({ cid }) => records.has(cid) || !parts.has(cid));
  if (shown.length === 0) ui.line(`${serviceTitle(options)} keeps nothing for you yet`);
  else {
    const rows = shown.map((object) => rowOf(object, records.get(object.cid), options.all ?? false));
    ui.line(tableText(["CID", "Name", ">Size", "Status", "Since", ...(options.all ? ["Id"] : [])], rows));
  }
  return { objects: shown.map((object) => ({ ...object, upload: records.get(object.cid) })) };
}

function rowOf(object: RemoteObject, record: UploadRecord | undefined, all: boolean): string[] {
  const bytes = record?.size ?? object.bytes;
  const since = object.createdMs === undefined ? "" : new Date(object.createdMs).toISOString().slice(0, 10);
  const status = `${object.status}${record?.encrypted ? ", encrypted" : ""}`;
  const size = bytes === undefined ? "" : formatBytes(bytes);
  return [object.cid, record?.name ?? object.name, size, status, since, ...(all ? [object.id] : [])];
}

async function quota({ ui, keys, http, signal }: RemoteContext) {
  const left = await openLighthouse(await readAccount("lighthouse", keys), http).quota({ signal });
  ui.line(`used   ${formatBytes(left.used)} of ${formatBytes(left.limit)}`);
  ui.line(`left   ${formatBytes(left.remaining)}`);
  return left;
}

async function deals(cid: string, { ui, http, signal }: RemoteContext) {
  const record = (await readRecords()).find((upload) => upload.cid === cid);
  const found: unknown[] = [];
  const rows: string[][] = [];
  // A file's own CID names the small list of its parts: what matters is where the parts are.
  const objects = record === undefined ? [cid] : [...record.parts, cid];
  for (const object of objects)
    for (const deal of await filecoinDeals(object, { ...lighthouseApi(), http, signal })) {
      found.push({ cid: object, ...deal });
      rows.push([
        object === cid ? "list of parts" : `part ${objects.indexOf(object) + 1}`,
        String(deal.dealId ?? ""),
        deal.provider ?? "",
        deal.status ?? "",
        String(deal.endEpoch ?? ""),
      ]);
    }
  if (rows.length === 0) ui.line("no deals yet: Lighthouse makes them some hours or days after an upload");
  else ui.line(tableText(["Object", "Deal", "Provider", "Status", ">Ends at epoch"], rows));
  return { cid, deals: found };
}

function addPin(storage: Command): void {
  remoteCommand(storage, "pin", "have a service fetch a CID from IPFS and keep it", [
    "pin bafybei... --service pinning",
    "pin bafybei... --service pinning --origin /dns4/node.example.com/tcp/4001/p2p/12D3...",
  ])
    .argument("<cid>", "what to keep")
    .addOption(serviceOption())
    .addOption(urlOption())
    .option("--name <name>", "name at the service")
    .option("--origin <multiaddr...>", "nodes that have it, for pinning services")
    .option("--no-wait", "do not wait until a pinning service has it")
    .action((cid: string, options: PinCommandOptions) => withRemote(options, (context) => pin(cid, options, context)));
}

async function pin(cid: string, options: PinCommandOptions, context: RemoteContext) {
  const { ui, signal } = context;
  const service = await openService(options, context);
  const { name, origin: origins = [] } = options;
  const asked = await service.pin({ cid, name, origins, signal });
  ui.line(`${serviceTitle(options)} has taken the request: ${asked.status}`);
  if (service.name !== "pinning" || !options.wait) return asked;
  const done = await service.wait(asked.id, {
    signal,
    onStatus: ({ status, details }) => {
      ui.status(`${status}${details && `: ${details}`}`);
      ui.event("status", { status, details });
    },
  });
  ui.status("");
  ui.line(`pinned ${cid}, id ${done.id}`);
  return done;
}

async function remove(id: string, options: RemoteOptions, context: RemoteContext) {
  const { ui, signal } = context;
  const service = await openService(options, context);
  const record = (await readRecords()).find(({ cid }) => cid === id);
  const cids = new Set(record === undefined ? [] : [record.cid, ...record.parts]);
  const ids: string[] = [];
  if (record !== undefined)
    for await (const object of service.list({ signal })) if (cids.has(object.cid)) ids.push(object.id);
  if (record === undefined) ids.push(id);
  for (const [done, each] of ids.entries()) {
    ui.progress("removed objects", done, ids.length);
    await service.remove(each, { signal });
  }
  ui.progress("removed objects", ids.length, ids.length);
  ui.line(`removed ${ids.length} object${ids.length === 1 ? "" : "s"}; copies on Filecoin stay until their deals end`);
  return { removed: ids };
}

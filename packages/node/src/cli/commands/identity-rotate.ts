import path from "node:path";
import type { Command } from "commander";
import { SkyNetError, type Hex } from "@skynet/protocol";
import { tiesOf, type Tie } from "../../roles/identity-ties.ts";
import { keyUses } from "../../runtime/key-use.ts";
import { keystoreAddress } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { rotateKeystore } from "../../wallet/rotate.ts";
import { addressArgument, openReader } from "../account.ts";
import { confirm } from "../confirm.ts";
import { homeDir, runningDevnet, withUi, yesOption } from "../options.ts";
import type { Ui } from "../ui.ts";
import { keyCommand, newPassphrase, type KeyOptions } from "./identity-options.ts";

interface RotateOptions extends KeyOptions {
  readonly rpc?: string;
  readonly token?: Hex;
  readonly offline?: true;
  readonly force?: true;
  readonly yes?: true;
  readonly newPassphraseFile?: string;
}

export function addRotate(identity: Command): void {
  const description = "give this node a new key; the old one is kept beside it, encrypted";
  keyCommand(identity, "rotate", description, "rotate --keystore worker.json --rpc URL")
    .option(
      "--rpc <url>",
      "chain on which the old key is checked (default: SKYNET_RPC, else the devnet that runs here)",
    )
    .option("--token <address>", "another token to look for stakes in", addressArgument)
    .option("--offline", "do not look at any chain: this key has never been used on one")
    .option("--force", "rotate although the old key has stake, seats, pay, jobs or listings")
    .option("--new-passphrase-file <file>", "file with the new key's passphrase (default: as before)")
    .addOption(yesOption())
    .addHelpText(
      "after",
      "\nThe new key has another address and another PeerId: money, stakes, registration, reputation, listings and the\nseats of running jobs stay with the old one. A node that runs keeps its old key until it is started again; jobs\nare finished with the old key (--keystore BACKUP, and the same --data folder).",
    )
    .action((options: RotateOptions) => withUi(options, (ui) => rotate(ui, options)));
}

async function rotate(ui: Ui, options: RotateOptions) {
  const keystore = path.resolve(options.keystore);
  const old = await keystoreAddress(keystore);
  const ties = options.offline ? [] : await lookAtChain(old, options);
  for (const { text, remedy } of ties) ui.line(`${old} has ${text}\n  ${remedy}`);
  const holding = ties.filter(({ holds }) => holds);
  if (holding.length > 0 && !options.force) throw inUse(old, holding);
  const running = (await keyUses(homeDir(), old)).filter(({ pid }) => pid !== undefined);
  for (const { role, folder, pid } of running)
    ui.line(`a ${role} (process ${pid}, ${folder}) works with the old key until it is started again`);
  if (holding.length > 0)
    process.stderr.write(
      `warning: --force: ${holding.length} things above depend on ${old}; a node with the new key does not serve them, and a worker that falls silent loses its stake\n`,
    );
  await confirm(`Give ${keystore} a new key?`, options);
  const passphrase = await readPassphrase(options, "Passphrase of the old key");
  const asks = options.newPassphraseFile !== undefined || process.env.SKYNET_NEW_PASSPHRASE !== undefined;
  const rotated = await rotateKeystore({
    keystore,
    passphrase,
    ...(asks ? { newPassphrase: await newPassphrase(options) } : {}),
    nowMs: Date.now(),
  });
  ui.line(`new key   ${rotated.address}\nPeerId    ${rotated.peerId}\nold key   ${rotated.backup}`);
  ui.line(`jobs of the old key are finished with --keystore ${rotated.backup} and the same --data folder`);
  return { ...rotated, old, keystore, ties };
}

async function lookAtChain(address: Hex, options: RotateOptions): Promise<Tie[]> {
  const rpc = options.rpc ?? process.env.SKYNET_RPC ?? runningDevnet()?.rpcUrl;
  if (rpc === undefined)
    throw new SkyNetError("NoConnection", "what the old key has on chain cannot be checked: no --rpc is given", {
      hint: "give --rpc URL; for a key that was never used on a chain, --offline",
    });
  return tiesOf(await openReader({ rpc }), address, options.token ? [options.token] : []);
}

function inUse(address: Hex, holding: readonly Tie[]): SkyNetError {
  const what = holding.map(({ text }) => text).join("; ");
  return new SkyNetError("IdentityInUse", `${address} is in use on chain: ${what}`, {
    hint: `${holding[0]!.remedy}; --force rotates all the same and leaves these with the old key`,
  });
}

import path from "node:path";
import type { Command } from "commander";
import type { Chain } from "@skynet/contracts";
import { fromHex, type Hex } from "@skynet/protocol";
import { generatePrivateKey } from "viem/accounts";
import { createIdentity } from "@skynet/network";
import { fundAccount } from "../../devnet/devnet.ts";
import { tokenInfo } from "../../roles/token.ts";
import { createKeystore, keystoreAddress, openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { parsePrivateKey, readFileOrInput } from "../../wallet/private-key.ts";
import { addressArgument, openAccount, resolveToken } from "../account.ts";
import { formatAmount } from "../format.ts";
import {
  addChainOptions,
  addWalletOptions,
  homeDir,
  jsonOption,
  resolveRpc,
  resolveWallet,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";

interface WalletOptions extends JsonOption {
  readonly keystore: string;
  readonly passphraseFile?: string;
}

interface MoneyOptions extends ConnectionOptions, JsonOption {
  readonly token?: Hex;
}

/**
 * `skynet wallet`: makes the key of a node, which is both its Ethereum address and its PeerId, and handles its money.
 * What else can be done to a key (backup, move, exchange, another passphrase) belongs to `skynet identity`.
 */
export function addWallet(program: Command): void {
  const wallet = program
    .command("wallet")
    .description("create, show or import the key of a node; see and withdraw its money")
    .addHelpText("after", "\nnpx skynet identity exports, rotates and re-encrypts the key.");
  addMoney(wallet);
  addFund(wallet);
  const sub = (name: string, description: string, example: string) =>
    wallet
      .command(name)
      .description(description)
      .option("--keystore <file>", "wallet file", path.join(homeDir(), "wallet.json"))
      .option("--passphrase-file <file>", "file with the passphrase (default: SKYNET_PASSPHRASE, else asked for)")
      .addOption(jsonOption())
      .addHelpText("after", `\nExample:\n  $ npx skynet wallet ${example}`);

  sub("new", "create a new key in an encrypted keystore", "new --keystore worker.json").action(
    (options: WalletOptions) => withUi(options, (ui) => store(options, fromHex(generatePrivateKey()), ui.line)),
  );
  sub("import", "import a private key (64 hexadecimal digits) from a file", "import key.txt --keystore worker.json")
    .argument("<file>", "file with the private key; - for standard input")
    .action((file: string, options: WalletOptions) =>
      withUi(options, async (ui) => {
        const content = await readFileOrInput(file, "the key file");
        return store(options, parsePrivateKey(new TextDecoder().decode(content)), ui.line);
      }),
    );
  sub("show", "show the address and the PeerId; the passphrase is checked", "show --keystore worker.json").action(
    (options: WalletOptions) =>
      withUi(options, async (ui) => {
        await keystoreAddress(options.keystore);
        const privateKey = await openKeystore(options.keystore, await readPassphrase(options, "Passphrase"));
        return describe(privateKey, options.keystore, ui.line);
      }),
  );
}

/** `skynet wallet balance|withdraw`: what a key has on the chain. */
function addMoney(wallet: Command): void {
  const sub = (name: string, description: string) =>
    addWalletOptions(addChainOptions(wallet.command(name).description(description)))
      .option("--token <address>", "token (default: the devnet's test token)", addressArgument)
      .addHelpText("after", `\nExample:\n  $ npx skynet wallet ${name} --keystore worker.json`);

  sub("balance", "show what the key has in its wallet, in the Ledger and as stake").action((options: MoneyOptions) =>
    withUi(options, async (ui) => {
      const { chain, token } = await openMoney(options);
      const info = await tokenInfo(chain.rpcUrl, token);
      const balances = await chain.balances(token);
      for (const [name, value] of Object.entries(balances)) ui.line(`${name.padEnd(13)} ${formatAmount(value, info)}`);
      return { address: chain.address, token, ...info, ...balances };
    }),
  );
  sub("withdraw", "move earnings, refunds and returned stakes from the Ledger to the key's own address").action(
    (options: MoneyOptions) =>
      withUi(options, async (ui) => {
        const { chain, token } = await openMoney(options);
        const info = await tokenInfo(chain.rpcUrl, token);
        const { ledger, freeStake, leavingStake } = await chain.balances(token);
        if (ledger > 0n) await chain.withdraw(token, ledger);
        ui.line(`withdrawn: ${formatAmount(ledger, info)}`);
        const stake = freeStake + leavingStake;
        if (stake > 0n)
          ui.line(`${formatAmount(stake, info)} stay as stake (npx skynet worker unstake takes stake back)`);
        return { address: chain.address, token, ...info, withdrawn: ledger };
      }),
  );
}

/** Test money of development chains. */
function addFund(wallet: Command): void {
  addWalletOptions(addChainOptions(wallet.command("fund").description("development chains only: get test money")))
    .addHelpText("after", "\nExample:\n  $ npx skynet wallet fund --keystore seller.json")
    .action((options: MoneyOptions) =>
      withUi(options, async (ui) => {
        const rpcUrl = resolveRpc(options);
        const address = await keystoreAddress(resolveWallet(options).keystore);
        await fundAccount(rpcUrl, address);
        ui.line(`${address} has test tokens, and ether for gas`);
        return { address };
      }),
    );
}

async function openMoney(options: MoneyOptions): Promise<{ chain: Chain; token: Hex }> {
  const chain = await openAccount(options);
  return { chain, token: (await resolveToken(chain, options.token)).address };
}

async function store(options: WalletOptions, privateKey: Uint8Array, line: (text: string) => void) {
  const passphrase = await readPassphrase(options, "Passphrase of the new wallet", true);
  await createKeystore(path.resolve(options.keystore), privateKey, passphrase);
  return describe(privateKey, options.keystore, line);
}

function describe(privateKey: Uint8Array, keystore: string, line: (text: string) => void) {
  const identity = createIdentity(privateKey);
  const result = { address: identity.address, peerId: identity.peerId.toString(), keystore: path.resolve(keystore) };
  line(`address   ${result.address}\nPeerId    ${result.peerId}\nkeystore  ${result.keystore}`);
  return result;
}

import path from "node:path";
import { Option, type Command } from "commander";
import { openDeployment, type Deployment } from "@skynet/contracts";
import { SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { formatEther } from "viem";
import {
  bookFile,
  checkChainId,
  NETWORKS,
  readAddressBook,
  writeAddressBook,
  type NetworkName,
} from "../../runtime/address-book.ts";
import { confirm } from "../confirm.ts";
import { openWallet, READER_KEY } from "../account.ts";
import {
  addChainOptions,
  addWalletOptions,
  integer,
  resolveRpc,
  withUi,
  yesOption,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";
import type { Ui } from "../ui.ts";

interface DeployOptions extends ConnectionOptions, JsonOption {
  readonly network?: NetworkName;
  readonly chainId?: number;
  readonly check?: true;
  readonly book?: string;
  readonly yes?: true;
}

/** `skynet deploy`: puts the contracts on a chain, or shows that they are there. */
export function addDeploy(program: Command): void {
  const command = program
    .command("deploy")
    .description("put the contracts of this version on a chain, compare their code, and write an address book")
    .addOption(
      new Option("--network <name>", "a known network: its RPC endpoint and chain id").choices(Object.keys(NETWORKS)),
    )
    .option("--chain-id <n>", "chain id that the endpoint must have", integer(1, Number.MAX_SAFE_INTEGER))
    .option("--check", "send nothing: show what is missing and what it costs, or compare what is there")
    .option("--book <file>", "address book to write (default: deployments/CHAINID.json in the home folder)")
    .addOption(yesOption());
  addWalletOptions(addChainOptions(command))
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet deploy --network scroll-sepolia --keystore deployer.json --check\n  $ npx skynet deploy --rpc http://127.0.0.1:8545 --chain-id 31337 --keystore deployer.json",
    )
    .action((options: DeployOptions) => withUi(options, (ui) => deploy(options, ui)));
}

async function deploy(options: DeployOptions, ui: Ui): Promise<Record<string, unknown>> {
  const network = options.network === undefined ? undefined : NETWORKS[options.network];
  const rpcUrl = options.rpc ?? network?.rpcUrl ?? resolveRpc(options);
  const deployment = await openDeployment({ rpcUrl, privateKey: await keyOf(options) });
  const { chainId } = deployment;
  ui.line(`chain ${chainId} at ${rpcUrl}`);
  checkChainId(chainId, network?.chainId);
  checkChainId(chainId, options.chainId);
  const plan = await deployment.plan();
  const { missing, cost, balance } = plan;
  const details = { chainId, account: deployment.account, ...plan };
  ui.event("plan", details);
  const file = path.resolve(options.book ?? bookFile(chainId));
  if (missing.length > 0) {
    ui.line(`missing: ${missing.join(", ")}`);
    ui.line(`cost up to ${formatEther(cost)} ETH; ${deployment.account} has ${formatEther(balance)} ETH`);
    if (options.check) return { ...details, complete: false };
    if (balance >= cost) await confirm(`Create ${missing.length} contracts on chain ${chainId}?`, options);
  } else ui.line("all contracts are there");
  return { ...details, ...(await complete(deployment, file, missing.length, ui)), complete: true };
}

/** Creates what is missing, compares the code of everything, and writes the address book. */
async function complete(deployment: Deployment, file: string, missing: number, ui: Ui) {
  const { chainId } = deployment;
  const known = await readAddressBook(file);
  if (known !== undefined && known.chainId !== chainId)
    throw new SkyNetError("WrongChain", `${file} is the address book of chain ${known.chainId}, not of ${chainId}`, {
      hint: "choose another file with --book; nothing was sent",
    });
  if (missing > 0) ui.status(`creating ${missing} contracts`);
  const first = await deployment.run();
  ui.status("comparing the code with a deployment on this machine");
  const deployed = await deployment.verify();
  const contracts = Object.fromEntries(deployed.map(({ name, address, codeHash }) => [name, { address, codeHash }]));
  // An endpoint without old states cannot say when; the book that was written then can.
  const block = known !== undefined && missing === 0 ? known.block : Number(first);
  await writeAddressBook(file, { version: 1, chainId, block, contracts });
  for (const { name, address } of deployed) ui.line(`${name.padEnd(18)} ${address}`);
  ui.line(`${deployed.length} contracts, code compared; address book ${file} (from block ${block})`);
  return { created: missing, block, book: file, contracts };
}

/** `--check` needs no wallet. */
async function keyOf(options: DeployOptions): Promise<Hex> {
  if (options.check && options.keystore === undefined) return READER_KEY;
  return toHex(await openWallet(options, "Passphrase of the paying wallet"));
}

import type { Command } from "commander";
import { SkyNetError, type Hex } from "@skynet/protocol";
import type { Capabilities } from "@skynet/swarm";
import { readEarnings } from "../../roles/earnings.ts";
import { addStake, changePayout, dateText, unstake } from "../../roles/worker-account.ts";
import { keystoreAddress } from "../../wallet/keystore.ts";
import { addressArgument, openAccount, openReader, resolveToken, unitsOf } from "../account.ts";
import { formatAmount } from "../format.ts";
import {
  addChainOptions,
  addWalletOptions,
  resolveWallet,
  tokens,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";
import type { Ui } from "../ui.ts";

interface AccountOptions extends ConnectionOptions, JsonOption {
  readonly token?: Hex;
  readonly payout?: Hex;
  readonly gpu?: string;
  readonly region?: string;
  readonly worker?: Hex;
}

/** `skynet worker register|stake|unstake|status|payout`: what the chain holds for a worker. */
export function addWorkerAccount(worker: Command): void {
  addRegister(worker);
  addStaking(worker);
  addPayout(worker);
  addStatus(worker);
}

const sub = (worker: Command, name: string, description: string, example: string): Command =>
  addWalletOptions(addChainOptions(worker.command(name).description(description))).addHelpText(
    "after",
    `\nExample:\n  $ npx skynet worker ${example}`,
  );

const withToken = (command: Command): Command =>
  command.option("--token <address>", "token (default: the devnet's test token)", addressArgument);

function addRegister(worker: Command): void {
  const description = "register this wallet as a worker; a node that takes jobs does it by itself";
  sub(worker, "register", description, "register --payout 0x7e5f... --keystore worker.json")
    .option("--payout <address>", "address that gets the worker's money (default: the worker itself)", addressArgument)
    .option("--gpu <name>", "graphics processor that jobs may count on; published, as memory and cores are")
    .option("--region <name>", "where the worker's machine is, such as eu; published")
    .action((options: AccountOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const before = await chain.worker(chain.address);
        if (before.registered)
          throw new SkyNetError("AlreadyRegistered", `${chain.address} is registered, with payout ${before.payout}`, {
            hint: "npx skynet worker payout changes the payout address",
          });
        const payout = options.payout ?? chain.address;
        const { ensureRegistered, measureCapabilities } = await import("../../roles/capabilities.ts");
        await ensureRegistered(chain, measureCapabilities(options), payout);
        ui.line(`registered ${chain.address}; its money goes to ${payout}`);
        return { worker: chain.address, payout };
      }),
    );
}

function addStaking(worker: Command): void {
  withToken(sub(worker, "stake", "add free stake, which jobs lock", "stake 100 --keystore worker.json"))
    .argument("<amount>", "tokens, such as 100 or 0.5", tokens)
    .option("--worker <address>", "worker to stake for (default: this wallet)", addressArgument)
    .action((text: string, options: AccountOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const token = await resolveToken(chain, options.token);
        const [amount, of] = [unitsOf(text, token), options.worker ?? chain.address];
        await addStake(chain, token, of, amount);
        const { freeStake } = await chain.balances(token.address, of);
        ui.line(`staked ${formatAmount(amount, token)} for ${of}; free stake ${formatAmount(freeStake, token)}`);
        return { worker: of, token: token.address, amount, freeStake };
      }),
    );
  const description = "take free stake back: the first call begins the unbonding, a later one fetches the stake";
  withToken(sub(worker, "unstake", description, "unstake 100 --keystore worker.json"))
    .argument("[amount]", "tokens (default: all free stake)", tokens)
    .option("--worker <address>", "worker whose payout address this wallet is (default: this wallet)", addressArgument)
    .action((text: string | undefined, options: AccountOptions) =>
      withUi(options, (ui) => unstakeNow(ui, text, options)),
    );
}

async function unstakeNow(ui: Ui, text: string | undefined, options: AccountOptions) {
  const chain = await openAccount(options);
  const token = await resolveToken(chain, options.token);
  const worker = options.worker ?? chain.address;
  const result = await unstake(chain, token, worker, text === undefined ? undefined : unitsOf(text, token));
  const amount = formatAmount(result.amount, token);
  if (result.step === "finished")
    ui.line(`${amount} are back, in the Ledger balance of ${result.payout} (npx skynet wallet withdraw fetches them)`);
  else
    ui.line(`${amount} ${result.step === "begun" ? "begin to leave" : "are leaving"}; ${await whenText(result.due)}`);
  return { worker, token: token.address, ...result };

  async function whenText(due: number): Promise<string> {
    const next = "npx skynet worker unstake again fetches them";
    return (await chain.now()) >= due ? next : `from ${dateText(due)} on ${next}`;
  }
}

function addPayout(worker: Command): void {
  const description = "name another payout address; only the present one may";
  sub(worker, "payout", description, "payout 0x7e5f... --worker 0x2b5a... --keystore cold.json")
    .argument("<address>", "new payout address", addressArgument)
    .option("--worker <address>", "the worker (default: this wallet)", addressArgument)
    .action((payout: Hex, options: AccountOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const of = options.worker ?? chain.address;
        await changePayout(chain, of, payout);
        ui.line(`the money of worker ${of} goes to ${payout} from now on`);
        return { worker: of, payout };
      }),
    );
}

function addStatus(worker: Command): void {
  const description = "key, stake, counters and jobs of a worker; needs no passphrase";
  withToken(sub(worker, "status", description, "status 0x2b5a..."))
    .argument("[address]", "the worker (default: the wallet that --keystore names)", addressArgument)
    .action((address: Hex | undefined, options: AccountOptions) =>
      withUi(options, (ui) => showStatus(ui, address, options)),
    );
}

async function showStatus(ui: Ui, address: Hex | undefined, options: AccountOptions) {
  const worker = address ?? (await keystoreAddress(resolveWallet(options).keystore));
  const chain = await openReader(options);
  const token = await resolveToken(chain, options.token);
  const { decodeCapabilities } = await import("@skynet/swarm");
  const [{ registered, payout }, score, balances, leaving, jobs, declared] = await Promise.all([
    chain.worker(worker),
    chain.reputation(worker),
    chain.balances(token.address, worker),
    chain.leaving(token.address, worker),
    readEarnings(chain, worker),
    chain.capabilities(worker),
  ]);
  const capabilities = declared && decodeCapabilities(declared);
  const running = jobs.filter(({ phase }) => phase !== "SETTLED").map(({ jobId }) => jobId);
  const amount = (value: bigint) => formatAmount(value, token);
  const leavingText =
    leaving.amount === 0n ? "" : `, ${amount(leaving.amount)} leaving, free from ${dateText(leaving.due)} on`;
  const rows = [
    ["worker", worker],
    ["registered", registered ? "yes" : "no (npx skynet worker register)"],
    ["payout", payout ?? "none"],
    ["machine", capabilities ? machineText(capabilities) : "nothing is declared"],
    ["stake", `${amount(balances.freeStake)} free, ${amount(balances.lockedStake)} locked in jobs${leavingText}`],
    ["balance", `${amount(balances.wallet)} in the wallet, ${amount(balances.ledger)} in the Ledger`],
    ["rounds", `${score.roundsPaid} paid, ${score.roundsMissed} missed, ${score.slashes} slashes`],
    ["jobs", `${jobs.length}, of which ${running.length} run`],
  ];
  for (const [name, text] of rows) ui.line(`${name!.padEnd(11)} ${text}`);
  return {
    worker,
    registered,
    payout,
    capabilities,
    token: token.address,
    ...balances,
    leaving,
    score,
    jobs: jobs.length,
    running,
  };
}

const machineText = ({ memoryGiB, cores, gpu, region }: Capabilities): string =>
  `${memoryGiB} GiB, ${cores} cores${gpu === undefined ? "" : `, ${gpu}`}${region === undefined ? "" : `, in ${region}`}`;

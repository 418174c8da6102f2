import path from "node:path";
import { DEVELOPMENT_CHAIN_ID } from "@skynet/contracts";
import { SkyNetError, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { homeDir } from "./home.ts";
import { FileError, readFileIfThere, writeFileAtomic } from "./files.ts";

const hex = (digits: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${digits}}$`))
    .transform((text) => text as Hex);

const bookSchema = z.strictObject({
  version: z.literal(1),
  chainId: z.number().int().positive(),
  /** From this block on the contracts can have events; readers begin here. */
  block: z.number().int().min(0),
  contracts: z.record(z.string(), z.strictObject({ address: hex(40), codeHash: hex(64) })),
});

/** Where a version of SkyNet is on one chain. */
export type AddressBook = z.output<typeof bookSchema>;

/** The book of a chain in the home folder. */
export const bookFile = (chainId: number): string => path.join(homeDir(), "deployments", `${chainId}.json`);

/**
 * The address book in a file, or undefined when there is none.
 * @throws FileError `BrokenAddressBook`
 */
export async function readAddressBook(file: string): Promise<AddressBook | undefined> {
  const content = await readFileIfThere(file);
  if (content === undefined) return undefined;
  try {
    return bookSchema.parse(JSON.parse(new TextDecoder().decode(content)));
  } catch (cause) {
    throw new FileError("BrokenAddressBook", `${file} is damaged or from another version`, {
      cause,
      hint: "move it away and run npx skynet deploy --check again: it writes a new one",
    });
  }
}

export const writeAddressBook = (file: string, book: AddressBook): Promise<void> =>
  writeFileAtomic(file, `${JSON.stringify(book, null, 2)}\n`);

/** Where events begin, by the address book of this machine; 0 without one. Development chains begin anew. */
export async function deploymentBlock(chainId: number): Promise<bigint> {
  if (chainId === DEVELOPMENT_CHAIN_ID) return 0n;
  return BigInt((await readAddressBook(bookFile(chainId)))?.block ?? 0);
}

/** Networks that `--network` names. */
export const NETWORKS = {
  "scroll-sepolia": { chainId: 534_351, rpcUrl: "https://sepolia-rpc.scroll.io" },
  scroll: { chainId: 534_352, rpcUrl: "https://rpc.scroll.io" },
} as const;

export type NetworkName = keyof typeof NETWORKS;

/** @throws SkyNetError `WrongChain` */
export function checkChainId(found: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === found) return;
  throw new SkyNetError("WrongChain", `the chain at this RPC endpoint has the id ${found}, not ${wanted}`, {
    hint: "check --rpc, --network and --chain-id; nothing was sent",
  });
}

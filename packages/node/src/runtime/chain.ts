import { createChain, type Chain } from "@skynet/contracts";
import { toHex } from "@skynet/protocol";
import { deploymentBlock } from "./address-book.ts";

/**
 * SkyNet on a chain for a key; events are read from the block that this machine's address book names.
 * @throws ChainUnreachable; NotDeployedError; FileError `BrokenAddressBook`
 */
export async function openChain(rpcUrl: string, privateKey: Uint8Array): Promise<Chain> {
  const chain = await createChain({ rpcUrl, privateKey: toHex(privateKey), firstBlock: deploymentBlock });
  await chain.assertDeployed();
  return chain;
}

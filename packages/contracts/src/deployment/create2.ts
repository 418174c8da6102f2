/**
 * The deterministic deployment proxy: the same address on every chain, created by a transaction that nobody can change.
 * Calldata: 32 bytes of salt, then the initcode. anvil has it from the start.
 */
export const CREATE2_PROXY = "0x4e59b44847b379578588920cA78FbF26c0B4956C";

/** Account that the proxy's creation is signed with; nobody has its key, because the signature was made up. */
export const PROXY_SIGNER = "0x3fAB184622Dc19b6109349B94811493BF2a45362";

/** The proxy's creation: 100,000 gas at 100 gwei, for any chain. */
export const PROXY_TRANSACTION =
  "0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222";

export const PROXY_COST_WEI = 10n ** 16n;

/**
 * The deterministic deployment proxy: the same address on every chain, created by a transaction that nobody can change.
 * Calldata: 32 bytes of salt, then the initcode. anvil has it from the start.
 */
export const CREATE2_PROXY = "0x4e59b44847b379578588920cA78FbF26c0B4956C";

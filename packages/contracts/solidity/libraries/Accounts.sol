// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Names of Ledger accounts.
library Accounts {
    /// @notice Money here belongs to nobody, for ever.
    bytes32 internal constant BURN = bytes32(uint256(0xdead));

    function user(address owner) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(owner)));
    }

    /// @notice A hash can never be the account of a user.
    function escrow(address module, bytes32 localId) internal pure returns (bytes32) {
        return keccak256(abi.encode(module, localId));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Code of contract wallets and EIP-7702 accounts in tests; it accepts one password and no key.
contract Delegate {
    function isValidSignature(bytes32, bytes calldata signature) external pure returns (bytes4) {
        return keccak256(signature) == keccak256("let me in") ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

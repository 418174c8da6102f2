// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Code for EIP-7702 accounts in tests; it refuses every ERC-1271 signature.
contract Delegate {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0xffffffff;
    }
}

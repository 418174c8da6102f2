// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Addresses of the contracts that one Deployer creates, known before they exist.
library Siblings {
    uint8 internal constant LEDGER = 1;
    uint8 internal constant WORKER_REGISTRY = 2;
    uint8 internal constant JOB_BOARD = 3;
    uint8 internal constant VERIFIER_REGISTRY = 4;
    uint8 internal constant CATALOG = 5;
    uint8 internal constant INFERENCE_BOARD = 6;

    /// @notice CREATE address: keccak256(rlp([deployer, nonce])) for a nonce from 1 to 127.
    function addressOf(address deployer, uint8 nonce) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", deployer, bytes1(nonce))))));
    }
}

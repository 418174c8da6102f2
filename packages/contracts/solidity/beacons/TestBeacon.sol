// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";

/// @title The beacon of development chains: the hash of the next block, so that a draw waits for one block only.
contract TestBeacon is IBeacon {
    error OnlyDevelopmentChain(uint256 chainId);

    modifier onlyDevelopmentChain() {
        require(block.chainid == 31337, OnlyDevelopmentChain(block.chainid));
        _;
    }

    function ticket() external view onlyDevelopmentChain returns (uint64) {
        return uint64(block.number) + 1;
    }

    function value(uint64 number) external view onlyDevelopmentChain returns (bytes32) {
        bytes32 hash = blockhash(number);
        return hash == 0 ? bytes32(0) : keccak256(abi.encode(hash));
    }

    function kind() external pure returns (bytes32) {
        return "test";
    }
}

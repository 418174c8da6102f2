// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";

/// @title Randomness from the hash of a later block.
/// @notice Whoever builds blocks can choose among values by discarding blocks; on a rollup that is the sequencer. A
/// value is there for 8,191 blocks (256 on chains without EIP-2935).
contract BlockhashBeacon is IBeacon {
    uint64 private constant DELAY_BLOCKS = 8;

    function ticket() external view returns (uint64) {
        return uint64(block.number) + DELAY_BLOCKS;
    }

    /// @dev The answer of a history contract that fails is not told apart from a hash, so it is not asked about blocks
    /// that do not exist yet: everybody would know such a value before the commits are closed.
    function value(uint64 number) external view returns (bytes32) {
        if (number >= block.number) return 0;
        bytes32 hash = Blockhash.blockHash(number);
        return hash == 0 ? bytes32(0) : keccak256(abi.encode(hash));
    }

    function kind() external pure returns (bytes32) {
        return "blockhash";
    }
}

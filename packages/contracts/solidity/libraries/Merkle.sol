// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Index-directed Merkle trees; twin of `merkle.ts`.
/// @notice Leaves and nodes are tagged, the order of children follows the index, and the number of leaves is part of
/// the root, so a path shows what lies at an index and not only that something lies somewhere.
library Merkle {
    /// @notice Whether `leaf` is the one at `index` of `count` leaves.
    function contains(bytes32 root, bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= count || path.length != depth(count)) return false;
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0), leaf));
        for (uint256 height = 0; height < path.length; ++height) {
            bool right = (index >> height) & 1 == 1;
            hash = right
                ? keccak256(abi.encodePacked(bytes1(0x01), path[height], hash))
                : keccak256(abi.encodePacked(bytes1(0x01), hash, path[height]));
        }
        return keccak256(abi.encode(count, hash)) == root;
    }

    /// @notice Levels between the leaves and the top node: ceil(log2(count)).
    function depth(uint256 count) internal pure returns (uint256 levels) {
        while (levels < 256 && (1 << levels) < count) ++levels;
    }
}

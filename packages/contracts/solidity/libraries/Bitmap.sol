// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Sets of at most 256 seats in one word: seat i is bit i.
library Bitmap {
    /// @notice Planes of the column counter: counts up to 256 need nine bits.
    uint256 private constant PLANES = 9;

    function bit(uint256 seat) internal pure returns (uint256) {
        return 1 << seat;
    }

    /// @notice Seats above 255 are in no set.
    function has(uint256 set, uint256 seat) internal pure returns (bool) {
        return (set >> seat) & 1 == 1;
    }

    /// @notice The set of the first `size` seats, size <= 256.
    function first(uint256 size) internal pure returns (uint256) {
        return size == 256 ? type(uint256).max : (1 << size) - 1;
    }

    /// @notice Number of seats in the set.
    function count(uint256 set) internal pure returns (uint256 total) {
        unchecked {
            uint256 x = set;
            x -= (x >> 1) & 0x5555555555555555555555555555555555555555555555555555555555555555;
            x = (x & 0x3333333333333333333333333333333333333333333333333333333333333333)
                + ((x >> 2) & 0x3333333333333333333333333333333333333333333333333333333333333333);
            x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
            x = (x & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                + ((x >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff);
            total = (x * 0x0001000100010001000100010001000100010001000100010001000100010001) >> 240;
        }
    }

    /// @notice Two thirds of `members`, rounded up.
    function quorum(uint256 members) internal pure returns (uint256) {
        return (2 * members + 2) / 3;
    }

    /// @notice Adds one to the counter of every column in `row`. Counters are bit-sliced: plane k holds bit k of all
    /// 256 of them, so a row costs a few word operations instead of 256 additions.
    function addRow(uint256[PLANES] memory planes, uint256 row) internal pure {
        uint256 carry = row;
        for (uint256 k = 0; carry != 0; ++k) {
            uint256 next = planes[k] & carry;
            planes[k] ^= carry;
            carry = next;
        }
    }

    /// @notice Columns whose counter is at least `threshold`: a bit-sliced comparison from the highest plane down.
    function atLeast(uint256[PLANES] memory planes, uint256 threshold) internal pure returns (uint256) {
        uint256 equal = type(uint256).max;
        uint256 greater = 0;
        for (uint256 k = PLANES; k > 0;) {
            --k;
            uint256 wanted = has(threshold, k) ? type(uint256).max : 0;
            greater |= equal & planes[k] & ~wanted;
            equal &= ~(planes[k] ^ wanted);
        }
        return greater | equal;
    }
}

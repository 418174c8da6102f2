// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Arithmetic on BN254 through the precompiles 6 and 7. Points are 64 bytes x then y; infinity is (0, 0).
/// @notice A missing precompile succeeds with an empty answer, so success and the size of the answer are both checked.
library Curve {
    /// @notice Order of the group.
    uint256 internal constant ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @dev 1/2 modulo the order.
    uint256 private constant HALF = 10944121435919637611123202872628637544274182200208017171849102093287904247809;

    struct Point {
        uint256 x;
        uint256 y;
    }

    error BadPoint();

    /// @notice Refuses operands that are not on the curve.
    function add(Point memory a, Point memory b) internal view returns (Point memory sum) {
        uint256[4] memory input = [a.x, a.y, b.x, b.y];
        bool success;
        uint256 size;
        assembly ("memory-safe") {
            success := staticcall(gas(), 6, input, 128, sum, 64)
            size := returndatasize()
        }
        require(success, BadPoint());
        require(size == 64, BadPoint());
    }

    /// @notice Refuses infinity and what is not on the curve.
    function requirePoint(Point memory a) internal view {
        require(a.x != 0 || a.y != 0, BadPoint());
        add(a, Point(0, 0));
    }

    function multiply(Point memory a, uint256 scalar) internal view returns (Point memory product) {
        uint256[3] memory input = [a.x, a.y, scalar];
        bool success;
        uint256 size;
        assembly ("memory-safe") {
            success := staticcall(gas(), 7, input, 96, product, 64)
            size := returndatasize()
        }
        require(success, BadPoint());
        require(size == 64, BadPoint());
    }

    /// @notice 1 / `power` modulo the order, for a power of two.
    function inverseOfPower(uint256 power) internal pure returns (uint256 inverse) {
        inverse = 1;
        for (; power > 1; power >>= 1) {
            inverse = mulmod(inverse, HALF, ORDER);
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What modules may do with the Ledger.
interface ILedger {
    function move(address token, bytes32 localId, bytes32 to, uint256 amount) external;
    function pull(address token, address user, bytes32 localId, uint256 amount) external;
}

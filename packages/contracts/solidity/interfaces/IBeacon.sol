// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A source of random values that nobody knows when a ticket is taken.
interface IBeacon {
    /// @notice Names a value that does not exist yet.
    function ticket() external view returns (uint64);
    /// @notice The value of a ticket; 0 when it is not there yet, or gone.
    function value(uint64 number) external view returns (bytes32);
    /// @notice What kind of beacon this is, for nodes that choose whom they trust.
    function kind() external pure returns (bytes32);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the JobBoard needs from the registry.
interface IWorkerRegistry {
    function lock(bytes32 jobId, address worker, address token, uint128 amount)
        external
        returns (address payout, uint32 epoch);
    function unlock(bytes32 jobId, address worker, address token, uint128 amount) external;
    function slash(bytes32 jobId, address token, address[] calldata workers, uint128[] calldata amounts, bool audit)
        external;
    function recordPaid(address worker, uint32 rounds) external returns (address payout);
    function recordProof(address worker) external;
}

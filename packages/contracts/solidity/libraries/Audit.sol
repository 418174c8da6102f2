// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Job, Spec} from "./JobTypes.sol";

/// @title What is drawn, and what a proof states; twin of `audit.ts`.
/// @notice A round of `steps` steps is a chain of segments; the segments are divided into `auditSteps` strata of equal
/// length, and a selected seat answers for one segment of each.
library Audit {
    uint256 private constant BPS = 10_000;
    bytes32 internal constant STEP_TAG = keccak256("skynet/1/step");

    function seedOf(bytes32 value, bytes32 jobId, uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(value, jobId, round));
    }

    function isSelected(bytes32 seed, uint256 seat, uint256 auditBps) internal pure returns (bool) {
        return uint256(keccak256(abi.encode(seed, seat))) % BPS < auditBps;
    }

    function segmentsOf(Spec storage spec) internal view returns (uint256) {
        return spec.steps / spec.segment;
    }

    function segmentOfSlot(bytes32 seed, Spec storage spec, uint256 seat, uint256 slot)
        internal
        view
        returns (uint256)
    {
        uint256 stratum = segmentsOf(spec) / spec.auditSteps;
        return slot * stratum + uint256(keccak256(abi.encode(seed, seat, slot))) % stratum;
    }

    /// @notice Index of the batch that a worker trains on in a step of a round.
    function batchIndex(Job storage job, Spec storage spec, address worker, uint256 round, uint256 step)
        internal
        view
        returns (uint256)
    {
        return uint256(keccak256(abi.encode(job.batchSeed, worker, round, step))) % spec.nBatches;
    }

    /// @notice Binds the proof of a step to chain, board, job, worker, round, step and batch.
    function context(
        Spec storage spec,
        bytes32 jobId,
        address worker,
        uint256 round,
        uint256 step,
        uint256 batch
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                STEP_TAG,
                block.chainid,
                address(this),
                spec.stepVerifier,
                jobId,
                worker,
                round,
                step,
                spec.dataRoot,
                batch
            )
        );
    }
}

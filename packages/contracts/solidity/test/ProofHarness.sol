// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Audit} from "../libraries/Audit.sol";
import {Curve} from "../libraries/Curve.sol";
import {Job, Spec} from "../libraries/JobTypes.sol";
import {Merkle} from "../libraries/Merkle.sol";

/// @title The formulas of proof mode, callable, to compare them with their twins in TypeScript.
contract ProofHarness {
    Spec private spec;
    Job private job;

    /// @notice Everything that is drawn for one seat.
    function drawn(Spec calldata terms, bytes32 value, bytes32 jobId, uint256 round, uint256 seat)
        external
        returns (bytes32 seed, bool selected, uint256[] memory segments)
    {
        spec = terms;
        seed = Audit.seedOf(value, jobId, round);
        selected = Audit.isSelected(seed, seat, terms.auditBps);
        segments = new uint256[](terms.auditSteps);
        for (uint256 slot = 0; slot < segments.length; ++slot) {
            segments[slot] = Audit.segmentOfSlot(seed, spec, seat, slot);
        }
    }

    /// @notice The statement of a step, as this contract would check it.
    function statement(
        Spec calldata terms,
        bytes32 batchSeed,
        bytes32 jobId,
        address worker,
        uint256 round,
        uint256 step
    ) external returns (bytes32 context, uint256 batch) {
        spec = terms;
        job.batchSeed = batchSeed;
        batch = Audit.batchIndex(job, spec, worker, round, step);
        context = Audit.context(spec, jobId, worker, round, step, batch);
    }

    function contains(bytes32 root, bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata path)
        external
        pure
        returns (bool)
    {
        return Merkle.contains(root, leaf, index, count, path);
    }

    function depth(uint256 count) external pure returns (uint256) {
        return Merkle.depth(count);
    }

    function add(Curve.Point calldata a, Curve.Point calldata b) external view returns (Curve.Point memory) {
        return Curve.add(a, b);
    }

    function multiply(Curve.Point calldata a, uint256 scalar) external view returns (Curve.Point memory) {
        return Curve.multiply(a, scalar);
    }

    function inverseOfPower(uint256 power) external pure returns (uint256) {
        return Curve.inverseOfPower(power);
    }
}

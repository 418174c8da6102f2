// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifierRegistry, VerifierEntry} from "../interfaces/IVerifierRegistry.sol";
import {Bitmap} from "./Bitmap.sol";
import {Curve} from "./Curve.sol";
import {Job, Spec, Update} from "./JobTypes.sol";

/// @title The merge of proof mode: the average of committed weights, computed on their commitments.
/// @notice Commitments are linear, so the commitment to the average follows from the commitments of the parts and
/// needs no proof: with N = spec.averaging and n included seats, C = (sum of C_w + (N - n) C_base) / N, block by block.
library JobMerge {
    using Bitmap for uint256;
    using Curve for Curve.Point;

    uint256 private constant POINT_BYTES = 64;

    error WrongPoints();
    error WrongSeats();
    error WrongCommit(uint256 seat);

    /// @notice Id of the next model. `updates` are the included seats, each once, in their order.
    function nextId(
        Job storage job,
        Spec storage spec,
        IVerifierRegistry registry,
        uint256 included,
        bytes calldata basePoints,
        Update[] calldata updates
    ) external view returns (bytes32) {
        VerifierEntry memory verifier = registry.entry(spec.stepVerifier);
        bytes32 tag = verifier.weightsTag;
        Curve.Point[] memory sums = new Curve.Point[](verifier.weightBlocks);
        requirePoints(tag, basePoints, job.modelId, sums.length);
        uint256 seats = 0;
        for (uint256 i = 0; i < updates.length; ++i) {
            Update calldata update = updates[i];
            // ascending, so that none is counted twice
            require(update.seat < 256 && seats >> update.seat == 0, WrongSeats());
            seats |= update.seat.bit();
            bytes32 committed = keccak256(abi.encode(job.round, update.idEnd, update.stepsRoot));
            require(committed == job.commitHash[update.seat], WrongCommit(update.seat));
            requirePoints(tag, update.points, update.idEnd, sums.length);
            for (uint256 block_ = 0; block_ < sums.length; ++block_) {
                sums[block_] = sums[block_].add(pointAt(update.points, block_));
            }
        }
        require(seats == included, WrongSeats());
        average(sums, basePoints, updates.length, spec.averaging);
        return hash(tag, sums);
    }

    /// @dev Turns the sums into averages of `nominal` parts; parts that are missing leave the base as it is.
    function average(Curve.Point[] memory sums, bytes calldata basePoints, uint256 present, uint256 nominal)
        private
        view
    {
        uint256 inverse = Curve.inverseOfPower(nominal);
        for (uint256 block_ = 0; block_ < sums.length; ++block_) {
            Curve.Point memory sum = sums[block_];
            if (present < nominal) sum = sum.add(pointAt(basePoints, block_).multiply(nominal - present));
            sums[block_] = nominal == 1 ? sum : sum.multiply(inverse);
        }
    }

    function requirePoints(bytes32 tag, bytes calldata points, bytes32 id, uint256 blocks) private pure {
        require(points.length == blocks * POINT_BYTES, WrongPoints());
        require(keccak256(abi.encodePacked(tag, points)) == id, WrongPoints());
    }

    function pointAt(bytes calldata points, uint256 index) private pure returns (Curve.Point memory point) {
        uint256 from = index * POINT_BYTES;
        point.x = uint256(bytes32(points[from:from + 32]));
        point.y = uint256(bytes32(points[from + 32:from + 64]));
    }

    function hash(bytes32 tag, Curve.Point[] memory points) private pure returns (bytes32) {
        bytes memory all = new bytes(32 + points.length * POINT_BYTES);
        assembly ("memory-safe") {
            mstore(add(all, 32), tag)
        }
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = (points[i].x, points[i].y);
            assembly ("memory-safe") {
                let to := add(all, add(64, mul(i, 64)))
                mstore(to, x)
                mstore(add(to, 32), y)
            }
        }
        return keccak256(all);
    }
}

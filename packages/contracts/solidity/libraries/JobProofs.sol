// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IVerifierRegistry} from "../interfaces/IVerifierRegistry.sol";
import {Audit} from "./Audit.sol";
import {Bitmap} from "./Bitmap.sol";
import {Answer, Job, Spec, StepProof} from "./JobTypes.sol";
import {Merkle} from "./Merkle.sol";

/// @title Proof mode of a job: what is checked when it is posted, committed, drawn and proven.
/// @notice Linked, like JobMachine, because JobBoard alone would exceed the size of a contract. Phases, seats and money
/// are the machine's: these functions check what the machine cannot see.
library JobProofs {
    using Bitmap for uint256;

    uint8 private constant STEP = 1;
    /// @dev Points that a merge may have to add; keeps its calldata below 100 kB.
    uint256 private constant MAX_POINTS = 1024;
    /// @dev Gas of a beacon. The closing of the commits must not fail whatever the beacon does, and nobody must be able
    /// to make an honest beacon fail by sending little gas.
    uint256 private constant BEACON_GAS = 100_000;

    error BadVerifier();
    error BadBeacon();
    error TooManyPoints();
    error DuplicateId();
    error BadRoot();
    error BeaconNotReady();
    error NotEnoughGas();
    error CommitMismatch();
    error BadLength();
    error BadPath();
    error BadEnd();
    error BrokenChain();
    error ProofRejected(uint256 step);

    /// @notice Checks the terms against the contracts that they name.
    function checkTerms(Spec calldata spec, IVerifierRegistry registry) external view {
        bytes32 verifierId = spec.stepVerifier;
        require(registry.isLive(verifierId) && registry.entry(verifierId).kind == STEP, BadVerifier());
        uint256 points = uint256(spec.seats) * registry.entry(verifierId).weightBlocks;
        require(points <= MAX_POINTS, TooManyPoints());
        require(spec.beacon.code.length > 0, BadBeacon());
    }

    /// @notice An id counts once per round: a worker that copies another's result cannot prove it, and must not be able
    /// to hope that it is not asked.
    function noteCommit(Job storage job, Spec storage spec, uint256 round, bytes32 idEnd, bytes32 stepsRoot) external {
        require(job.idRound[idEnd] != round + 1, DuplicateId());
        // without interior ids there is no tree; a root that no proof can open would cost the worker its stake
        require(Audit.segmentsOf(spec) > 1 || stepsRoot == 0, BadRoot());
        job.idRound[idEnd] = round + 1;
    }

    /// @notice Takes the ticket of the draw. A beacon that fails gives ticket 0, which never has a value: the job halts
    /// when the draw window ends, instead of locking everybody's money.
    function takeTicket(Job storage job, Spec storage spec) external {
        require(gasleft() > 2 * BEACON_GAS, NotEnoughGas());
        address beacon = spec.beacon;
        bytes4 selector = IBeacon.ticket.selector;
        bool success;
        uint256 size;
        uint256 answer;
        assembly ("memory-safe") {
            mstore(0, selector)
            success := staticcall(BEACON_GAS, beacon, 0, 4, 0, 32)
            size := returndatasize()
            answer := mload(0)
        }
        job.ticket = success && size == 32 && answer <= type(uint64).max ? uint64(answer) : 0;
    }

    /// @notice Stores the seed of the round's audits.
    function draw(Job storage job, Spec storage spec, bytes32 jobId) external returns (bytes32 seed, uint256 selected) {
        uint64 ticket = job.ticket;
        bytes32 value = ticket == 0 ? bytes32(0) : IBeacon(spec.beacon).value(ticket);
        require(value != 0, BeaconNotReady());
        seed = Audit.seedOf(value, jobId, job.round);
        job.seed = seed;
        uint256 committed = job.committed;
        uint256 auditBps = spec.auditBps;
        for (uint256 seat = 0; seat < 256 && committed >> seat != 0; ++seat) {
            if (committed.has(seat) && Audit.isSelected(seed, seat, auditBps)) selected |= seat.bit();
        }
    }

    /// @notice Checks the answer to one audit slot. The ends of the round's chain come from the job and the commitment,
    /// never from the worker's tree; what lies between comes from the tree, at the index of the drawn segment.
    /// @return segment that the slot asked for
    function check(
        Job storage job,
        Spec storage spec,
        IVerifierRegistry registry,
        bytes32 jobId,
        uint256 round,
        Answer calldata answer
    ) external view returns (uint256 segment) {
        bytes32 committed = keccak256(abi.encode(round, answer.idEnd, answer.stepsRoot));
        require(committed == job.commitHash[answer.seat], CommitMismatch());
        segment = Audit.segmentOfSlot(job.seed, spec, answer.seat, answer.slot);
        checkBoundary(job, spec, segment, answer);
        checkSteps(job, spec, registry, Round(jobId, job.worker[answer.seat], round, segment), answer);
    }

    /// @notice The context that a proof of this step must be made for, and the batch of the step.
    function statement(Job storage job, Spec storage spec, bytes32 jobId, uint256 seat, uint256 step)
        external
        view
        returns (bytes32 context, uint256 batch)
    {
        address worker = job.worker[seat];
        batch = Audit.batchIndex(job, spec, worker, job.round, step);
        context = Audit.context(spec, jobId, worker, job.round, step, batch);
    }

    /// @notice Segments that a seat has to prove in this round, by slot; empty when it is not selected.
    function drawn(Job storage job, Spec storage spec, uint256 seat) external view returns (uint256[] memory segments) {
        if (!job.selected.has(seat)) return segments;
        segments = new uint256[](spec.auditSteps);
        for (uint256 slot = 0; slot < segments.length; ++slot) {
            segments[slot] = Audit.segmentOfSlot(job.seed, spec, seat, slot);
        }
    }

    struct Round {
        bytes32 jobId;
        address worker;
        uint256 round;
        uint256 segment;
    }

    /// @dev Leaf k of the tree is the id between the segments k and k + 1.
    function checkBoundary(Job storage job, Spec storage spec, uint256 segment, Answer calldata answer) private view {
        uint256 segments = Audit.segmentsOf(spec);
        bytes32 root = answer.stepsRoot;
        if (segment == 0) requireEnd(answer.idFrom, job.modelId, answer.pathFrom);
        else requireLeaf(root, answer.idFrom, segment - 1, segments - 1, answer.pathFrom);
        if (segment + 1 == segments) requireEnd(answer.idTo, answer.idEnd, answer.pathTo);
        else requireLeaf(root, answer.idTo, segment, segments - 1, answer.pathTo);
    }

    function checkSteps(
        Job storage job,
        Spec storage spec,
        IVerifierRegistry registry,
        Round memory r,
        Answer calldata answer
    ) private view {
        uint256 length = spec.segment;
        require(answer.steps.length == length, BadLength());
        bytes32 id = answer.idFrom;
        for (uint256 i = 0; i < length; ++i) {
            StepProof calldata proven = answer.steps[i];
            uint256 step = r.segment * length + i;
            uint256 batch = Audit.batchIndex(job, spec, r.worker, r.round, step);
            requireLeaf(spec.dataRoot, proven.batchLeaf, batch, spec.nBatches, proven.batchPath);
            bytes32 context = Audit.context(spec, r.jobId, r.worker, r.round, step, batch);
            bool valid =
                registry.verify(spec.stepVerifier, context, id, proven.idEnd, proven.batchLeaf, proven.proof);
            require(valid, ProofRejected(step));
            id = proven.idEnd;
        }
        require(id == answer.idTo, BrokenChain());
    }

    function requireEnd(bytes32 id, bytes32 expected, bytes32[] calldata path) private pure {
        require(id == expected, BadEnd());
        require(path.length == 0, BadPath());
    }

    function requireLeaf(bytes32 root, bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata path)
        private
        pure
    {
        require(Merkle.contains(root, leaf, index, count, path), BadPath());
    }
}

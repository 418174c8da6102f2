// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JobMachine} from "./JobMachine.sol";
import {Job} from "./JobTypes.sol";

/// @notice A job as one value for readers; names are those of `JobView` in TypeScript.
struct JobView {
    uint8 phase;
    uint8 outcome;
    uint16 round;
    uint8 fails;
    uint16 merged;
    bool stopRequested;
    uint8 holdResult;
    uint40 phaseAt;
    uint40 openedAt;
    uint128 price;
    uint128 escrow;
    uint128 owed;
    uint128 held;
    uint256 active;
    uint256 ready;
    uint256 committed;
    uint256 abstained;
    uint256 selected;
    uint256 proven;
    uint256 attested;
    uint256 delivered;
    uint256 strikes;
    uint256 slashed;
    uint256 released;
    uint256 holdClaimed;
    bytes32 modelId;
    bytes32 batchSeed;
    uint64 ticket;
    bytes32 seed;
    address[] workers;
    uint128[] stakes;
    uint16[] claimedTo;
    uint16[] proofMasks;
    uint256[] paidCompute;
    uint256[] paidDelivery;
}

/// @title Copies a job from storage; linked, like JobMachine, to keep JobBoard small.
library JobViews {
    function workers(Job storage job) internal view returns (address[] memory list) {
        list = new address[](job.joined);
        for (uint256 seat = 0; seat < list.length; ++seat) {
            list[seat] = job.worker[seat];
        }
    }

    function read(Job storage job) external view returns (JobView memory v) {
        readScalars(job, v);
        readSets(job, v);
        v.workers = workers(job);
        v.stakes = new uint128[](job.joined);
        v.claimedTo = new uint16[](job.joined);
        v.proofMasks = new uint16[](job.joined);
        for (uint256 seat = 0; seat < job.joined; ++seat) {
            v.stakes[seat] = job.seat[seat].stake;
            v.claimedTo[seat] = job.seat[seat].claimedTo;
            v.proofMasks[seat] = uint16(JobMachine.proofMask(job, seat));
        }
        v.paidCompute = new uint256[](job.round);
        v.paidDelivery = new uint256[](job.round);
        for (uint256 round = 0; round < job.round; ++round) {
            v.paidCompute[round] = job.paidCompute[round];
            v.paidDelivery[round] = job.paidDelivery[round];
        }
    }

    function readScalars(Job storage job, JobView memory v) private view {
        v.phase = job.phase;
        v.outcome = job.outcome;
        v.round = job.round;
        v.fails = job.fails;
        v.merged = job.merged;
        v.stopRequested = job.stopRequested;
        v.holdResult = job.holdResult;
        v.phaseAt = job.phaseAt;
        v.openedAt = job.openedAt;
        v.price = job.price;
        v.escrow = job.escrow;
        v.owed = job.owed;
        v.held = job.held;
        v.modelId = job.modelId;
        v.batchSeed = job.batchSeed;
        v.ticket = job.ticket;
        v.seed = job.seed;
    }

    function readSets(Job storage job, JobView memory v) private view {
        v.active = job.active;
        v.ready = job.ready;
        v.committed = job.committed;
        v.abstained = job.abstained;
        v.selected = job.selected;
        v.proven = job.proven;
        v.attested = job.attested;
        v.delivered = job.delivered;
        v.strikes = job.strikes;
        v.slashed = job.slashed;
        v.released = job.released;
        v.holdClaimed = job.holdClaimed;
    }
}

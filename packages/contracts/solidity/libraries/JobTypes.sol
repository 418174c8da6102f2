// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Terms of a job. Windows and the deadline are seconds, amounts units of `token`, bps ten-thousandths.
/// Field order and names are those of `JobSpec` in TypeScript.
struct Spec {
    address requester;
    uint16 seats;
    uint16 minSeats;
    uint16 rounds;
    uint8 maxFails;
    uint8 mode; // 0 quorum, 1 proof
    uint8 auditSteps;
    uint16 steps;
    address token;
    uint16 auditBps;
    uint16 deliveryBps;
    uint16 holdBps;
    uint40 deadline;
    uint32 joinWindow;
    uint32 readyWindow;
    uint32 commitWindow;
    uint32 drawWindow;
    uint32 proveWindow;
    uint32 mergeWindow;
    uint32 deliverWindow;
    uint16 segment;
    uint16 averaging;
    uint128 priceMin;
    uint128 priceMax;
    uint128 stake;
    uint128 missPenalty;
    uint128 mergeFee;
    uint64 nBatches;
    uint64 workUnits;
    bytes32 stepVerifier;
    bytes32 modelId;
    bytes32 dataRoot;
    address admitter;
    address beacon;
    bytes32 metaHash;
}

/// @notice What a seat holds; one word.
struct Seat {
    uint128 stake;
    uint16 claimedTo;
    uint16 proofRound; // the round that proofMask belongs to
    uint16 proofMask;
}

/// @notice State of a job. Sets of seats are bitmaps.
struct Job {
    uint8 phase;
    uint8 outcome;
    uint16 round;
    uint16 joined;
    uint8 fails;
    uint16 merged;
    bool stopRequested;
    uint8 holdResult;
    uint40 phaseAt;
    uint40 openedAt;
    uint64 ticket; // of the beacon; proof mode
    uint128 price;
    uint128 escrow; // the job's balance in the Ledger
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
    bytes32 modelId; // id(W_round)
    bytes32 batchSeed; // fixed in the assigning transaction
    bytes32 seed; // of the latest draw; proof mode
    mapping(uint256 seat => address) worker;
    mapping(address worker => uint256) seatPlusOne;
    mapping(uint256 seat => Seat) seat;
    mapping(uint256 seat => bytes32) commitHash; // keccak256(round, idEnd, stepsRoot), reused every round
    mapping(bytes32 id => uint256) idRound; // round + 1 in which an id was committed; proof mode
    mapping(uint256 round => uint256) paidCompute;
    mapping(uint256 round => uint256) paidDelivery;
}

/// @notice What an event did besides changing the state: the caller moves the money.
struct Effects {
    uint128 refund; // escrow -> requester
    uint128 holdBurned; // escrow -> nobody
    uint128 paid; // escrow -> the beneficiary of this event
    uint128 returned; // stake -> worker
    uint256 cutSeats; // seats whose stake was cut
    uint128[] cuts; // amounts, in the order of the seats
}

/// @notice A signed bitmap of received updates, or an included set and the next model.
struct Row {
    uint16 seat;
    uint256 received;
}

/// @notice One proven step of a segment.
struct StepProof {
    bytes32 idEnd; // id of the model after the step
    bytes32 batchLeaf; // id of the batch
    bytes32[] batchPath;
    bytes proof;
}

/// @notice Everything that answers one audit slot: the drawn segment and the proofs of its steps.
struct Answer {
    uint256 seat;
    uint256 slot;
    bytes32 idEnd; // as committed
    bytes32 stepsRoot; // as committed
    bytes32 idFrom;
    bytes32[] pathFrom; // in stepsRoot; empty for the first segment
    bytes32 idTo;
    bytes32[] pathTo; // in stepsRoot; empty for the last segment
    StepProof[] steps;
}

/// @notice The committed end of a seat's round, with the points that its id hashes.
struct Update {
    uint256 seat;
    bytes32 idEnd;
    bytes32 stepsRoot;
    bytes points;
}

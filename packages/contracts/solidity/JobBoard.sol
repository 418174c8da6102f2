// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ILedger} from "./interfaces/ILedger.sol";
import {IVerifierRegistry} from "./interfaces/IVerifierRegistry.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";
import {Accounts} from "./libraries/Accounts.sol";
import {Audit} from "./libraries/Audit.sol";
import {Bitmap} from "./libraries/Bitmap.sol";
import {JobHashes} from "./libraries/JobHashes.sol";
import {JobMachine} from "./libraries/JobMachine.sol";
import {JobMerge} from "./libraries/JobMerge.sol";
import {JobProofs} from "./libraries/JobProofs.sol";
import {JobRules} from "./libraries/JobRules.sol";
import {Answer, Effects, Job, Row, Spec, Update} from "./libraries/JobTypes.sol";
import {JobView, JobViews} from "./libraries/JobViews.sol";
import {Siblings} from "./libraries/Siblings.sol";
import {Signatures} from "./libraries/Signatures.sol";

// One file although it is long: the whole outer face of a job, grouped by who acts.

/// @title Jobs: escrow, seats, rounds and pay.
/// @notice Checks signatures, drives `JobMachine`, and moves the money that the machine reports. Every action of a
/// participant can be sent by anybody, because it carries a signature or a proof that names its beneficiary.
contract JobBoard is EIP712 {
    /// @notice A worker's signed wish to join.
    struct Acceptance {
        address worker;
        uint128 minPrice;
        uint64 expiry;
        uint32 epoch;
    }

    /// @notice Signed by the job's admitter; ignored when the job has none.
    struct Admission {
        uint64 expiry;
        bytes signature;
    }

    struct Commitment {
        uint16 seat;
        bytes32 idEnd;
        bytes32 stepsRoot;
    }

    ILedger public immutable ledger;
    IWorkerRegistry public immutable workerRegistry;
    IVerifierRegistry public immutable verifierRegistry;
    /// @notice Shortest time window in seconds.
    uint256 public immutable minWindow;

    mapping(address requester => uint256) public nonces;
    mapping(bytes32 jobId => Spec) private specs;
    mapping(bytes32 jobId => Job) private jobs;

    event JobPosted(bytes32 indexed jobId, address indexed requester, Spec spec, bytes meta);
    event Joined(bytes32 indexed jobId, uint256 seat, address indexed worker);
    event Assigned(bytes32 indexed jobId, address[] workers, uint128 price, uint256 active);
    event KeysPublished(bytes32 indexed jobId, uint256 epoch, bytes cid);
    event SeatsReady(bytes32 indexed jobId, bytes32 keyRef, uint256 ready);
    event PhaseChanged(bytes32 indexed jobId, uint8 phase, uint16 round, uint256 active);
    event Committed(bytes32 indexed jobId, uint16 round, uint256 seat, bytes32 idEnd, bytes32 stepsRoot);
    event Abstained(bytes32 indexed jobId, uint16 round, uint256 seat);
    event Left(bytes32 indexed jobId, uint16 round, uint256 seat);
    event Drawn(bytes32 indexed jobId, uint16 round, bytes32 seed, uint256 selected);
    event Proven(bytes32 indexed jobId, uint16 round, uint256 seat, uint256 slot, uint256 segment);
    event Delivered(bytes32 indexed jobId, uint16 round, uint256 attesters, uint256 delivered);
    event Merged(bytes32 indexed jobId, uint16 round, bytes32 idNext, uint256 included, address prover, uint256 fee);
    event RoundEnded(bytes32 indexed jobId, uint16 round, uint256 paidCompute, uint256 paidDelivery);
    event StopRequested(bytes32 indexed jobId);
    event Settled(bytes32 indexed jobId, uint8 outcome, uint256 refund, uint256 holdBurned);
    event Claimed(bytes32 indexed jobId, uint256 seat, uint256 toRound, address payout, uint256 amount);
    event HoldClaimed(bytes32 indexed jobId, uint256 seat, address payout, uint256 amount);
    event Released(bytes32 indexed jobId, uint256 seat, uint256 stake);

    error WrongMode();
    error NotToken();
    error BadMeta();
    error BadLength();
    error SignatureExpired();
    error WrongEpoch();
    error WrongRound();
    error BadAdmission();
    error ZeroId();

    constructor() EIP712("SkyNet", "1") {
        ledger = ILedger(Siblings.addressOf(msg.sender, Siblings.LEDGER));
        workerRegistry = IWorkerRegistry(Siblings.addressOf(msg.sender, Siblings.WORKER_REGISTRY));
        verifierRegistry = IVerifierRegistry(Siblings.addressOf(msg.sender, Siblings.VERIFIER_REGISTRY));
        minWindow = block.chainid == 31337 ? 1 : 15 minutes;
    }

    // ---- The requester.

    /// @notice Escrows the budget from the requester's Ledger balance. `meta` is published; the terms bind its hash.
    function post(Spec calldata spec, bytes calldata meta) external returns (bytes32 jobId) {
        require(spec.requester == msg.sender, JobMachine.NotRequester());
        require(spec.token.code.length > 0, NotToken());
        require(keccak256(meta) == spec.metaHash, BadMeta());
        jobId = JobHashes.jobId(msg.sender, nonces[msg.sender]++, JobHashes.spec(spec));
        Job storage job = jobs[jobId];
        JobMachine.post(job, specs, jobId, spec, block.timestamp, minWindow);
        if (spec.mode == JobRules.PROOF_MODE) JobProofs.checkTerms(spec, verifierRegistry);
        ledger.pull(spec.token, msg.sender, jobId, job.escrow);
        emit JobPosted(jobId, msg.sender, spec, meta);
    }

    function cancel(bytes32 jobId) external {
        conclude(jobId, before(jobId), JobMachine.cancel(jobs[jobId], specs[jobId], block.timestamp, msg.sender));
    }

    function stop(bytes32 jobId) external {
        uint256 mark = before(jobId);
        Effects memory fx = JobMachine.stop(jobs[jobId], specs[jobId], block.timestamp, msg.sender);
        emit StopRequested(jobId);
        conclude(jobId, mark, fx);
    }

    function accept(bytes32 jobId) external {
        conclude(jobId, before(jobId), JobMachine.accept(jobs[jobId], specs[jobId], block.timestamp, msg.sender));
    }

    /// @notice Burns the held part of the pay: neither side gains.
    function complain(bytes32 jobId) external {
        conclude(jobId, before(jobId), JobMachine.complain(jobs[jobId], specs[jobId], block.timestamp, msg.sender));
    }

    /// @notice Publishes where the group key lies, wrapped for each worker; repeated when membership changes.
    function publishKeys(bytes32 jobId, uint256 epoch, bytes calldata cid) external {
        uint8 phase = jobs[jobId].phase;
        require(phase >= JobMachine.READY && phase <= JobMachine.MERGE, JobMachine.WrongState(phase));
        require(msg.sender == specs[jobId].requester, JobMachine.NotRequester());
        emit KeysPublished(jobId, epoch, cid);
    }

    // ---- Workers, or anybody with their signatures.

    function join(bytes32 jobId, uint128 minPrice, Admission calldata admission) external {
        enlist(jobId, msg.sender, minPrice, admission);
    }

    function joinFor(
        bytes32 jobId,
        Acceptance[] calldata acceptances,
        bytes[] calldata signatures,
        Admission[] calldata admissions
    ) external {
        require(acceptances.length == signatures.length && acceptances.length == admissions.length, BadLength());
        for (uint256 i = 0; i < acceptances.length; ++i) {
            Acceptance calldata a = acceptances[i];
            // phase and time first, so that a late batch says so
            JobMachine.requirePhase(jobs[jobId], specs[jobId], JobMachine.OPEN, block.timestamp);
            bytes32 hash = JobHashes.accept(jobId, a.worker, a.minPrice, a.expiry, a.epoch);
            Signatures.check(a.worker, _hashTypedDataV4(hash), signatures[i]);
            require(block.timestamp <= a.expiry, SignatureExpired());
            require(enlist(jobId, a.worker, a.minPrice, admissions[i]) == a.epoch, WrongEpoch());
        }
    }

    /// @notice `keyRef` names the keys that the signers have opened.
    function ready(bytes32 jobId, bytes32 keyRef, uint256[] calldata seats, bytes[] calldata signatures) external {
        require(seats.length == signatures.length, BadLength());
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.READY, block.timestamp);
        bytes32 digest = _hashTypedDataV4(JobHashes.ready(jobId, keyRef));
        uint256 set = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            checkSeat(job, seats[i], digest, signatures[i]);
            set |= Bitmap.bit(seats[i]);
        }
        Effects memory none;
        uint256 mark = before(jobId);
        JobMachine.ready(job, specs[jobId], block.timestamp, set);
        emit SeatsReady(jobId, keyRef, job.ready);
        conclude(jobId, mark, none);
    }

    function commit(bytes32 jobId, bytes32 idEnd, bytes32 stepsRoot) external {
        record(jobId, seatOf(jobId, msg.sender), idEnd, stepsRoot);
    }

    /// @notice All or nothing: one signature that does not count, or counted before, reverts the whole batch. A
    /// signature counts for the round that it names only: a commit of the batch may end the round and begin the next.
    function commitFor(bytes32 jobId, Commitment[] calldata commitments, bytes[] calldata signatures) external {
        require(commitments.length == signatures.length, BadLength());
        Job storage job = jobs[jobId];
        for (uint256 i = 0; i < commitments.length; ++i) {
            Commitment calldata c = commitments[i];
            JobMachine.requirePhase(job, specs[jobId], JobMachine.COMMIT, block.timestamp);
            bytes32 hash = JobHashes.commitment(jobId, job.round, c.idEnd, c.stepsRoot);
            checkSeat(job, c.seat, _hashTypedDataV4(hash), signatures[i]);
            record(jobId, c.seat, c.idEnd, c.stepsRoot);
        }
    }

    function abstain(bytes32 jobId, uint16 round) external {
        skip(jobId, round, seatOf(jobId, msg.sender));
    }

    function abstainFor(bytes32 jobId, uint16 round, uint256 seat, bytes calldata signature) external {
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.COMMIT, block.timestamp);
        checkSeat(job, seat, _hashTypedDataV4(JobHashes.abstention(jobId, round)), signature);
        skip(jobId, round, seat);
    }

    function leave(bytes32 jobId) external {
        quit(jobId, seatOf(jobId, msg.sender));
    }

    /// @notice The signature names the round, so it cannot be used in a later one.
    function leaveFor(bytes32 jobId, uint256 seat, bytes calldata signature) external {
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.COMMIT, block.timestamp);
        checkSeat(job, seat, _hashTypedDataV4(JobHashes.departure(jobId, job.round)), signature);
        quit(jobId, seat);
    }

    /// @notice Signed bitmaps of what each seat received and checked; a larger set replaces a smaller one.
    function attest(bytes32 jobId, uint16[] calldata seats, uint256[] calldata received, bytes[] calldata signatures)
        external
    {
        require(seats.length == received.length && seats.length == signatures.length, BadLength());
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.PROVE, block.timestamp);
        uint16 round = job.round;
        Row[] memory rows = new Row[](seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            bytes32 hash = JobHashes.attestation(jobId, round, received[i], bytes32(0));
            checkSeat(job, seats[i], _hashTypedDataV4(hash), signatures[i]);
            rows[i] = Row({seat: seats[i], received: received[i]});
        }
        uint256 mark = before(jobId);
        Effects memory fx = JobMachine.attest(job, specs[jobId], block.timestamp, rows);
        // if the attestation ended the round, its bitmaps are still in place unless a new round began
        if (job.round == round) emit Delivered(jobId, round, job.attested, job.delivered);
        conclude(jobId, mark, fx);
    }

    /// @notice Quorum mode: two thirds of the committed seats sign the included set and the id of the next model. The
    /// fee goes to the sender.
    function merge(bytes32 jobId, bytes32 idNext, uint256[] calldata seats, bytes[] calldata signatures) external {
        require(seats.length == signatures.length, BadLength());
        Job storage job = jobs[jobId];
        Spec storage spec = specs[jobId];
        JobMachine.requirePhase(job, spec, JobMachine.MERGE, block.timestamp);
        require(spec.mode == JobRules.QUORUM_MODE, WrongMode());
        require(idNext != bytes32(0), ZeroId());
        uint16 round = job.round;
        uint256 included = JobMachine.includedSeats(job);
        bytes32 digest = _hashTypedDataV4(JobHashes.attestation(jobId, round, included, idNext));
        uint256 signers = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            signers = JobMachine.addSigner(job.committed, signers, seats[i]);
            checkSeat(job, seats[i], digest, signatures[i]);
        }
        uint256 quorum = Bitmap.quorum(Bitmap.count(job.committed));
        require(seats.length >= quorum, JobMachine.TooFewAttestations());
        adopt(jobId, idNext, included);
    }

    /// @notice Proof mode: the id of the next model is computed from the points of the included seats. The fee goes to
    /// the sender.
    function mergeProven(bytes32 jobId, bytes calldata basePoints, Update[] calldata updates) external {
        Job storage job = jobs[jobId];
        Spec storage spec = specs[jobId];
        JobMachine.requirePhase(job, spec, JobMachine.MERGE, block.timestamp);
        require(spec.mode == JobRules.PROOF_MODE, WrongMode());
        uint256 included = JobMachine.includedSeats(job);
        adopt(jobId, JobMerge.nextId(job, spec, verifierRegistry, included, basePoints, updates), included);
    }

    // ---- Anybody.

    /// @notice Proof mode: decides which seats are audited, as soon as the beacon has a value.
    function draw(bytes32 jobId) external {
        Job storage job = jobs[jobId];
        Spec storage spec = specs[jobId];
        JobMachine.requirePhase(job, spec, JobMachine.DRAW, block.timestamp);
        uint256 mark = before(jobId);
        (bytes32 seed, uint256 selected) = JobProofs.draw(job, spec, jobId);
        JobMachine.draw(job, spec, block.timestamp, selected);
        emit Drawn(jobId, job.round, seed, selected);
        Effects memory none;
        conclude(jobId, mark, none);
    }

    /// @notice Proof mode: answers one audit slot of a seat. A bad answer reverts and changes nothing.
    function prove(bytes32 jobId, Answer calldata answer) external {
        Job storage job = jobs[jobId];
        uint16 round = job.round;
        uint256 mark = before(jobId);
        // phase, seat and slot first; the proof only says whether this transition stands
        Effects memory fx = JobMachine.prove(job, specs[jobId], block.timestamp, answer.seat, answer.slot);
        uint256 segment = JobProofs.check(job, specs[jobId], verifierRegistry, jobId, round, answer);
        workerRegistry.recordProof(job.worker[answer.seat]);
        emit Proven(jobId, round, answer.seat, answer.slot, segment);
        conclude(jobId, mark, fx);
    }

    /// @notice The timeout exit of the present phase.
    function tick(bytes32 jobId) external {
        uint256 mark = before(jobId);
        bool assigning = jobs[jobId].phase == JobMachine.OPEN;
        Effects memory fx = JobMachine.tick(jobs[jobId], specs[jobId], block.timestamp);
        if (assigning && jobs[jobId].phase == JobMachine.READY) announce(jobId);
        conclude(jobId, mark, fx);
    }

    function claim(bytes32 jobId, uint256 seat, uint256 toRound) external {
        Job storage job = jobs[jobId];
        uint256 from = job.seat[seat].claimedTo;
        Effects memory fx = JobMachine.claim(job, specs[jobId], seat, toRound);
        address payout = workerRegistry.recordPaid(job.worker[seat], uint32(toRound - from));
        if (fx.paid > 0) ledger.move(specs[jobId].token, jobId, Accounts.user(payout), fx.paid);
        emit Claimed(jobId, seat, toRound, payout, fx.paid);
    }

    function claimHold(bytes32 jobId, uint256 seat) external {
        Effects memory fx = JobMachine.claimHold(jobs[jobId], specs[jobId], seat);
        address payout = workerRegistry.recordPaid(jobs[jobId].worker[seat], 0);
        if (fx.paid > 0) ledger.move(specs[jobId].token, jobId, Accounts.user(payout), fx.paid);
        emit HoldClaimed(jobId, seat, payout, fx.paid);
    }

    function release(bytes32 jobId, uint256 seat) external {
        Effects memory fx = JobMachine.release(jobs[jobId], seat);
        workerRegistry.unlock(jobId, jobs[jobId].worker[seat], specs[jobId].token, fx.returned);
        emit Released(jobId, seat, fx.returned);
    }

    // ---- Views.

    /// @notice Everything about a job; phase 0 means that there is no such job.
    function viewJob(bytes32 jobId) external view returns (Spec memory spec, JobView memory state) {
        return (specs[jobId], JobViews.read(jobs[jobId]));
    }

    /// @notice Price of the rising clock at `time` seconds.
    function priceAt(bytes32 jobId, uint256 time) external view returns (uint256) {
        return JobRules.priceAt(specs[jobId], jobs[jobId].openedAt, time);
    }

    function commitHash(bytes32 jobId, uint256 seat) external view returns (bytes32) {
        return jobs[jobId].commitHash[seat];
    }

    /// @notice Index of the batch that a seat trains on in a step of a round.
    function batchFor(bytes32 jobId, uint256 seat, uint256 round, uint256 step) external view returns (uint256) {
        Job storage job = jobs[jobId];
        return Audit.batchIndex(job, specs[jobId], job.worker[seat], round, step);
    }

    /// @notice What a proof of a seat's step in this round must be made for, and the batch of the step.
    function statementFor(bytes32 jobId, uint256 seat, uint256 step)
        external
        view
        returns (bytes32 context, uint256 batch)
    {
        return JobProofs.statement(jobs[jobId], specs[jobId], jobId, seat, step);
    }

    /// @notice Segments that a seat has to prove in this round, by slot; empty when it is not selected.
    function drawnSegments(bytes32 jobId, uint256 seat) external view returns (uint256[] memory) {
        return JobProofs.drawn(jobs[jobId], specs[jobId], seat);
    }

    // ---- Inside.

    /// @return epoch of the worker
    function enlist(bytes32 jobId, address worker, uint128 minPrice, Admission calldata admission)
        private
        returns (uint32 epoch)
    {
        Spec storage spec = specs[jobId];
        Job storage job = jobs[jobId];
        uint256 mark = before(jobId);
        uint256 seat = JobMachine.join(job, spec, block.timestamp, worker, minPrice);
        if (spec.admitter != address(0)) checkAdmission(jobId, spec.admitter, worker, admission);
        address payout;
        (payout, epoch) = workerRegistry.lock(jobId, worker, spec.token, spec.stake);
        // best effort: a requester with a second wallet cannot be recognised
        require(payout != spec.requester, JobMachine.RequesterCannotJoin());
        emit Joined(jobId, seat, worker);
        if (job.phase == JobMachine.READY) announce(jobId);
        Effects memory none;
        conclude(jobId, mark, none);
    }

    function checkAdmission(bytes32 jobId, address admitter, address worker, Admission calldata admission)
        private
        view
    {
        require(block.timestamp <= admission.expiry, BadAdmission());
        bytes32 hash = JobHashes.admit(jobId, worker, admission.expiry);
        Signatures.check(admitter, _hashTypedDataV4(hash), admission.signature);
    }

    /// @dev The one public record of the assignment. The seed decides who trains on which batch; the last joiner can
    /// influence it, which changes no payment.
    function announce(bytes32 jobId) private {
        Job storage job = jobs[jobId];
        address[] memory workers = JobViews.workers(job);
        job.batchSeed = keccak256(abi.encode(jobId, blockhash(block.number - 1), keccak256(abi.encode(workers))));
        emit Assigned(jobId, workers, job.price, job.active);
    }

    function record(bytes32 jobId, uint256 seat, bytes32 idEnd, bytes32 stepsRoot) private {
        Job storage job = jobs[jobId];
        uint16 round = job.round;
        uint256 mark = before(jobId);
        Spec storage spec = specs[jobId];
        Effects memory fx = JobMachine.commit(job, spec, block.timestamp, seat);
        if (spec.mode == JobRules.PROOF_MODE) JobProofs.noteCommit(job, spec, round, idEnd, stepsRoot);
        job.commitHash[seat] = keccak256(abi.encode(round, idEnd, stepsRoot));
        emit Committed(jobId, round, seat, idEnd, stepsRoot);
        conclude(jobId, mark, fx);
    }

    function skip(bytes32 jobId, uint16 round, uint256 seat) private {
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.COMMIT, block.timestamp);
        require(round == job.round, WrongRound());
        uint256 mark = before(jobId);
        Effects memory fx = JobMachine.abstain(job, specs[jobId], block.timestamp, seat);
        emit Abstained(jobId, round, seat);
        conclude(jobId, mark, fx);
    }

    function quit(bytes32 jobId, uint256 seat) private {
        uint16 round = jobs[jobId].round;
        uint256 mark = before(jobId);
        Effects memory fx = JobMachine.leave(jobs[jobId], specs[jobId], block.timestamp, seat);
        emit Left(jobId, round, seat);
        conclude(jobId, mark, fx);
    }

    /// @dev The next model of a merged round.
    function adopt(bytes32 jobId, bytes32 idNext, uint256 included) private {
        Job storage job = jobs[jobId];
        Spec storage spec = specs[jobId];
        uint16 round = job.round;
        uint256 mark = before(jobId);
        Effects memory fx = JobMachine.merge(job, spec, block.timestamp);
        job.modelId = idNext;
        ledger.move(spec.token, jobId, Accounts.user(msg.sender), fx.paid);
        emit Merged(jobId, round, idNext, included, msg.sender, fx.paid);
        conclude(jobId, mark, fx);
    }

    /// @dev Phase and round before an event, to see what it changed.
    function before(bytes32 jobId) private view returns (uint256) {
        return uint256(jobs[jobId].phase) << 16 | jobs[jobId].round;
    }

    /// @dev Moves the money of an event and tells the world what it changed.
    function conclude(bytes32 jobId, uint256 mark, Effects memory fx) private {
        Job storage job = jobs[jobId];
        if (fx.cutSeats != 0) cutStakes(jobId, job, mark, fx);
        uint16 round = uint16(mark);
        if (job.round != round) emit RoundEnded(jobId, round, job.paidCompute[round], job.paidDelivery[round]);
        if (mark == before(jobId)) return;
        emit PhaseChanged(jobId, job.phase, job.round, job.active);
        Spec storage spec = specs[jobId];
        // in the transaction that closes the commits: while any is accepted, nobody knows the value of the ticket
        if (job.phase == JobMachine.DRAW) JobProofs.takeTicket(job, spec);
        if (job.phase != JobMachine.SETTLED) return;
        if (fx.holdBurned > 0) ledger.move(spec.token, jobId, Accounts.BURN, fx.holdBurned);
        if (fx.refund > 0) ledger.move(spec.token, jobId, Accounts.user(spec.requester), fx.refund);
        emit Settled(jobId, job.outcome, fx.refund, fx.holdBurned);
    }

    function cutStakes(bytes32 jobId, Job storage job, uint256 mark, Effects memory fx) private {
        address[] memory workers = new address[](fx.cuts.length);
        uint256 i = 0;
        for (uint256 seat = 0; i < workers.length; ++seat) {
            if (Bitmap.has(fx.cutSeats, seat)) workers[i++] = job.worker[seat];
        }
        bool audit = mark >> 16 == JobMachine.PROVE;
        workerRegistry.slash(jobId, specs[jobId].token, workers, fx.cuts, audit);
    }

    function seatOf(bytes32 jobId, address worker) private view returns (uint256) {
        Job storage job = jobs[jobId];
        JobMachine.requirePhase(job, specs[jobId], JobMachine.COMMIT, block.timestamp);
        uint256 seatPlusOne = job.seatPlusOne[worker];
        require(seatPlusOne != 0, JobMachine.NotSeat());
        return seatPlusOne - 1;
    }

    function checkSeat(Job storage job, uint256 seat, bytes32 digest, bytes calldata signature) private view {
        require(seat < job.joined, JobMachine.NotSeat());
        Signatures.check(job.worker[seat], digest, signature);
    }
}

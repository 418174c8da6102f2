// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bitmap} from "./Bitmap.sol";
import {JobRules} from "./JobRules.sol";
import {Effects, Job, Row, Seat, Spec} from "./JobTypes.sol";

// One file although it is long: it mirrors `machine.ts`, and the two are read side by side.

/// @title State machine of a job; twin of `machine.ts`, function by function.
/// @notice Signatures, proofs, the beacon and the Ledger are outside: transitions receive verified facts and report
/// in `Effects` what money has to move. Every function checks in the order phase, time, authority, duplicate, value.
/// Events are external functions of a linked library, because JobBoard alone would exceed the size of a contract.
library JobMachine {
    using Bitmap for uint256;

    uint8 internal constant OPEN = 1;
    uint8 internal constant READY = 2;
    uint8 internal constant COMMIT = 3;
    uint8 internal constant DRAW = 4;
    uint8 internal constant PROVE = 5;
    uint8 internal constant MERGE = 6;
    uint8 internal constant DELIVER = 7;
    uint8 internal constant SETTLED = 8;

    uint8 internal constant CANCELLED = 1;
    uint8 internal constant EXPIRED = 2;
    uint8 internal constant ABORTED = 3;
    uint8 internal constant COMPLETED = 4;
    uint8 internal constant HALTED = 5;
    uint8 internal constant STOPPED = 6;

    uint8 internal constant HOLD_PAID = 1;
    uint8 internal constant HOLD_BURNED = 2;

    error WrongState(uint8 phase);
    error TooLate();
    error TooEarly();
    error NotRequester();
    error NotSeat();
    error NotSelected();
    error RequesterCannotJoin();
    error AlreadyJoined();
    error AlreadyCommitted();
    error AlreadyAbstained();
    error AlreadyProven();
    error AlreadyReleased();
    error AlreadyClaimed();
    error DuplicateSeat();
    error PriceTooLow();
    error BadSlot();
    error TooFewAttestations();
    error NothingToClaim();
    error SeatActive();
    error HoldBurned();

    // ---- Events, in the order of a job's life.

    /// @notice Checks the terms and stores them. The caller has checked what depends on other contracts.
    function post(
        Job storage job,
        mapping(bytes32 jobId => Spec) storage specs,
        bytes32 jobId,
        Spec calldata terms,
        uint256 time,
        uint256 minWindow
    ) external {
        JobRules.check(terms, time, minWindow);
        specs[jobId] = terms;
        job.openedAt = uint40(time);
        job.escrow = uint128(JobRules.budget(terms));
        job.modelId = terms.modelId;
        enter(job, OPEN, time);
    }

    function join(Job storage job, Spec storage spec, uint256 time, address worker, uint256 minPrice)
        external
        returns (uint256 seat)
    {
        requirePhase(job, spec, OPEN, time);
        require(worker != spec.requester, RequesterCannotJoin());
        require(job.seatPlusOne[worker] == 0, AlreadyJoined());
        uint256 price = JobRules.priceAt(spec, job.openedAt, time);
        require(price >= minPrice, PriceTooLow());
        seat = job.joined;
        job.joined = uint16(seat + 1);
        job.worker[seat] = worker;
        job.seatPlusOne[worker] = seat + 1;
        job.seat[seat].stake = spec.stake;
        if (seat + 1 == spec.seats) assign(job, time, price);
    }

    function cancel(Job storage job, Spec storage spec, uint256 time, address by) external returns (Effects memory fx) {
        requirePhase(job, spec, OPEN, time);
        requireRequester(spec, by);
        settle(job, time, CANCELLED, HOLD_PAID, fx);
    }

    function ready(Job storage job, Spec storage spec, uint256 time, uint256 seats) external {
        requirePhase(job, spec, READY, time);
        uint256 active = job.active;
        require(seats & ~active == 0, NotSeat());
        uint256 all = job.ready | seats;
        job.ready = all;
        if (all == active) startRound(job, time);
    }

    /// @notice READY: the job ends at once. Later: at the end of the round, so that its work is paid.
    function stop(Job storage job, Spec storage spec, uint256 time, address by) external returns (Effects memory fx) {
        uint8 phase = job.phase;
        require(phase >= READY && phase <= MERGE, WrongState(phase));
        if (phase == READY) require(time < phaseEnd(job, spec), TooLate());
        requireRequester(spec, by);
        if (phase == READY) settle(job, time, ABORTED, HOLD_PAID, fx);
        else job.stopRequested = true;
    }

    function commit(Job storage job, Spec storage spec, uint256 time, uint256 seat) external returns (Effects memory fx) {
        requireUndecided(job, spec, time, seat);
        job.committed |= seat.bit();
        if (everySeatDecided(job)) closeCommit(job, spec, time, fx);
    }

    /// @notice No pay, no penalty, one strike: for an honest step that cannot be committed.
    function abstain(Job storage job, Spec storage spec, uint256 time, uint256 seat)
        external
        returns (Effects memory fx)
    {
        requireUndecided(job, spec, time, seat);
        job.abstained |= seat.bit();
        if (everySeatDecided(job)) closeCommit(job, spec, time, fx);
    }

    function leave(Job storage job, Spec storage spec, uint256 time, uint256 seat) external returns (Effects memory fx) {
        requireUndecided(job, spec, time, seat);
        burnStakes(job, seat.bit(), spec.missPenalty, fx);
        uint256 active = job.active & ~seat.bit();
        job.active = active;
        if (active != 0 && everySeatDecided(job)) closeCommit(job, spec, time, fx);
        else if (active.count() < spec.minSeats && job.committed == 0) finish(job, time, HALTED, fx);
    }

    function draw(Job storage job, Spec storage spec, uint256 time, uint256 selected) external {
        requirePhase(job, spec, DRAW, time);
        job.selected = selected & job.committed;
        enter(job, PROVE, time);
    }

    function prove(Job storage job, Spec storage spec, uint256 time, uint256 seat, uint256 slot)
        external
        returns (Effects memory fx)
    {
        requirePhase(job, spec, PROVE, time);
        require(job.selected.has(seat), NotSelected());
        uint256 mask = proofMask(job, seat);
        require(slot >= spec.auditSteps || !mask.has(slot), AlreadyProven());
        require(slot < spec.auditSteps, BadSlot());
        mask |= slot.bit();
        job.seat[seat].proofRound = job.round;
        job.seat[seat].proofMask = uint16(mask);
        if (mask == uint256(spec.auditSteps).first()) job.proven |= seat.bit();
        closeProveIfComplete(job, spec, time, fx);
    }

    /// @notice A seat counts as delivered when a quorum of the committed seats received its update.
    function attest(Job storage job, Spec storage spec, uint256 time, Row[] calldata rows)
        external
        returns (Effects memory fx)
    {
        requirePhase(job, spec, PROVE, time);
        uint256 committed = job.committed;
        uint256 signers = 0;
        uint256[9] memory planes;
        for (uint256 i = 0; i < rows.length; ++i) {
            signers = addSigner(committed, signers, rows[i].seat);
            // a seat's own bit counts: it holds its own update
            Bitmap.addRow(planes, rows[i].received | uint256(rows[i].seat).bit());
        }
        uint256 quorum = Bitmap.quorum(committed.count());
        require(rows.length >= quorum && rows.length > job.attested.count(), TooFewAttestations());
        job.attested = signers;
        job.delivered = Bitmap.atLeast(planes, quorum) & committed;
        closeProveIfComplete(job, spec, time, fx);
    }

    function merge(Job storage job, Spec storage spec, uint256 time) external returns (Effects memory fx) {
        requirePhase(job, spec, MERGE, time);
        pay(job, spec.mergeFee, fx);
        endRound(job, spec, time, true, goodSeats(job), includedSeats(job), fx);
    }

    function accept(Job storage job, Spec storage spec, uint256 time, address by) external returns (Effects memory fx) {
        requirePhase(job, spec, DELIVER, time);
        requireRequester(spec, by);
        settle(job, time, job.outcome, HOLD_PAID, fx);
    }

    function complain(Job storage job, Spec storage spec, uint256 time, address by)
        external
        returns (Effects memory fx)
    {
        requirePhase(job, spec, DELIVER, time);
        requireRequester(spec, by);
        settle(job, time, job.outcome, HOLD_BURNED, fx);
    }

    /// @notice Pays a seat for its finished rounds before `toRound`; a round cannot be claimed twice.
    function claim(Job storage job, Spec storage spec, uint256 seat, uint256 toRound)
        external
        returns (Effects memory fx)
    {
        require(seat < job.joined, NotSeat());
        uint256 from = job.seat[seat].claimedTo;
        require(toRound > from && toRound <= job.round, NothingToClaim());
        (uint256 compute, uint256 delivery,) = JobRules.parts(spec, job.price);
        uint256 amount = 0;
        for (uint256 round = from; round < toRound; ++round) {
            if (job.paidCompute[round].has(seat)) amount += compute;
            if (job.paidDelivery[round].has(seat)) amount += delivery;
        }
        job.seat[seat].claimedTo = uint16(toRound);
        job.owed -= uint128(amount);
        pay(job, amount, fx);
    }

    function claimHold(Job storage job, Spec storage spec, uint256 seat) external returns (Effects memory fx) {
        require(job.phase == SETTLED, WrongState(job.phase));
        require(seat < job.joined, NotSeat());
        require(!job.holdClaimed.has(seat), AlreadyClaimed());
        require(job.holdResult == HOLD_PAID, HoldBurned());
        (,, uint256 hold) = JobRules.parts(spec, job.price);
        uint256 amount = 0;
        for (uint256 round = 0; round < job.round; ++round) {
            if (job.paidCompute[round].has(seat)) amount += hold;
        }
        job.holdClaimed |= seat.bit();
        job.owed -= uint128(amount);
        pay(job, amount, fx);
    }

    function release(Job storage job, uint256 seat) external returns (Effects memory fx) {
        require(seat < job.joined, NotSeat());
        require(!job.released.has(seat), AlreadyReleased());
        bool left = job.phase > READY && !job.active.has(seat);
        require(job.phase == SETTLED || left, SeatActive());
        job.released |= seat.bit();
        fx.returned = job.seat[seat].stake;
        job.seat[seat].stake = 0;
    }

    /// @notice The timeout exit of the phase. The next phase starts now, so lateness eats no window.
    function tick(Job storage job, Spec storage spec, uint256 time) external returns (Effects memory fx) {
        uint8 phase = job.phase;
        require(phase != 0 && phase != SETTLED, WrongState(phase));
        require(time >= phaseEnd(job, spec), TooEarly());
        if (phase == OPEN) {
            if (job.joined >= spec.minSeats) assign(job, time, spec.priceMax);
            else settle(job, time, EXPIRED, HOLD_PAID, fx);
        } else if (phase == READY) {
            if (job.ready.count() < spec.minSeats) return settled(job, time, ABORTED, fx);
            job.active = job.ready;
            startRound(job, time);
        } else if (phase == COMMIT) {
            closeCommit(job, spec, time, fx);
        } else if (phase == DRAW) {
            finish(job, time, HALTED, fx);
        } else if (phase == PROVE) {
            closeProve(job, spec, time, fx);
        } else if (phase == MERGE) {
            endRound(job, spec, time, false, paidAfterFailure(job, spec), 0, fx);
        } else {
            settle(job, time, job.outcome, HOLD_PAID, fx);
        }
    }

    // ---- Questions.

    /// @notice First second at which events are refused and `tick` is accepted.
    function phaseEnd(Job storage job, Spec storage spec) internal view returns (uint256) {
        uint8 phase = job.phase;
        if (phase == SETTLED) return type(uint256).max;
        return uint256(job.phaseAt) + windowOf(spec, phase);
    }

    /// @notice Seats whose work of this round counts.
    function goodSeats(Job storage job) internal view returns (uint256) {
        return job.committed & ~job.slashed;
    }

    /// @notice Seats whose updates enter the merge of this round.
    function includedSeats(Job storage job) internal view returns (uint256) {
        return goodSeats(job) & job.delivered;
    }

    function proofMask(Job storage job, uint256 seat) internal view returns (uint256) {
        Seat storage s = job.seat[seat];
        return s.proofRound == job.round ? s.proofMask : 0;
    }

    function requirePhase(Job storage job, Spec storage spec, uint8 phase, uint256 time) internal view {
        require(job.phase == phase, WrongState(job.phase));
        require(time < uint256(job.phaseAt) + windowOf(spec, phase), TooLate());
    }

    /// @notice Adds a signer of the committed seats to a set, once.
    function addSigner(uint256 committed, uint256 signers, uint256 seat) internal pure returns (uint256) {
        require(committed.has(seat), NotSeat());
        require(!signers.has(seat), DuplicateSeat());
        return signers | seat.bit();
    }

    // ---- Transitions that events share.

    function assign(Job storage job, uint256 time, uint256 price) private {
        job.price = uint128(price);
        job.active = uint256(job.joined).first();
        enter(job, READY, time);
    }

    function startRound(Job storage job, uint256 time) private {
        job.committed = 0;
        job.abstained = 0;
        job.selected = 0;
        job.proven = 0;
        job.attested = 0;
        job.delivered = 0;
        enter(job, COMMIT, time);
    }

    /// @dev Below two thirds of commits a fault of the whole job is presumed and nobody is punished.
    function closeCommit(Job storage job, Spec storage spec, uint256 time, Effects memory fx) private {
        uint256 committed = job.committed;
        uint256 active = job.active;
        if (3 * committed.count() >= 2 * active.count()) {
            uint256 missing = active & ~committed & ~job.abstained;
            if (missing != 0) job.active = active & ~punishMissing(job, spec, missing, fx);
        }
        if (committed.count() < spec.minSeats) endRound(job, spec, time, false, 0, 0, fx);
        else enter(job, spec.mode == JobRules.PROOF_MODE ? DRAW : PROVE, time);
    }

    /// @return ended seats whose stake no longer satisfies the stake rule
    function punishMissing(Job storage job, Spec storage spec, uint256 missing, Effects memory fx)
        private
        returns (uint256 ended)
    {
        burnStakes(job, missing, spec.missPenalty, fx);
        uint256 minStake = JobRules.minStake(spec);
        for (uint256 seat = 0; missing >> seat != 0 && seat < 256; ++seat) {
            if (missing.has(seat) && job.seat[seat].stake < minStake) ended |= seat.bit();
        }
    }

    function closeProveIfComplete(Job storage job, Spec storage spec, uint256 time, Effects memory fx) private {
        if (job.proven == job.selected && job.attested == job.committed) closeProve(job, spec, time, fx);
    }

    /// @dev A committed seat that did not answer its audit loses its whole stake.
    function closeProve(Job storage job, Spec storage spec, uint256 time, Effects memory fx) private {
        uint256 unproven = job.selected & ~job.proven;
        if (unproven != 0) {
            burnStakes(job, unproven, type(uint128).max, fx);
            job.slashed |= unproven;
            job.active &= ~unproven;
        }
        if (includedSeats(job).count() >= spec.minSeats) enter(job, MERGE, time);
        else endRound(job, spec, time, false, paidAfterFailure(job, spec), 0, fx);
    }

    /// @dev Proven work is paid even when the round fails; a failed round of quorum mode has nothing that shows work.
    function paidAfterFailure(Job storage job, Spec storage spec) private view returns (uint256) {
        return spec.mode == JobRules.PROOF_MODE ? goodSeats(job) : 0;
    }

    function endRound(
        Job storage job,
        Spec storage spec,
        uint256 time,
        bool merged,
        uint256 good,
        uint256 included,
        Effects memory fx
    ) private {
        creditRound(job, spec, good, included & job.attested);
        if (merged) {
            uint256 strikes = job.active & ~included;
            job.active &= ~(strikes & job.strikes);
            job.strikes = strikes;
            job.merged += 1;
        } else {
            job.strikes = 0;
            job.fails += 1;
        }
        uint16 round = job.round + 1;
        job.round = round;
        if (round == spec.rounds) finish(job, time, COMPLETED, fx);
        else if (job.stopRequested) finish(job, time, STOPPED, fx);
        else if (mustHalt(job, spec, time)) finish(job, time, HALTED, fx);
        else startRound(job, time);
    }

    function mustHalt(Job storage job, Spec storage spec, uint256 time) private view returns (bool) {
        bool late = spec.deadline != 0 && time > spec.deadline;
        return late || job.fails >= spec.maxFails || job.active.count() < spec.minSeats;
    }

    /// @dev Pay is recorded as two words for all seats and claimed later.
    function creditRound(Job storage job, Spec storage spec, uint256 good, uint256 rewarded) private {
        if (good == 0 && rewarded == 0) return;
        (uint256 compute, uint256 delivery, uint256 hold) = JobRules.parts(spec, job.price);
        uint256 round = job.round;
        job.paidCompute[round] = good;
        job.paidDelivery[round] = rewarded;
        job.owed += uint128(compute * good.count() + delivery * rewarded.count());
        job.held += uint128(hold * good.count());
    }

    function finish(Job storage job, uint256 time, uint8 outcome, Effects memory fx) private {
        job.outcome = outcome;
        if (job.held > 0) enter(job, DELIVER, time);
        else settle(job, time, outcome, HOLD_PAID, fx);
    }

    function settled(Job storage job, uint256 time, uint8 outcome, Effects memory fx)
        private
        returns (Effects memory)
    {
        settle(job, time, outcome, HOLD_PAID, fx);
        return fx;
    }

    /// @dev What is not owed to workers returns to the requester at once; a burned hold goes to nobody.
    function settle(Job storage job, uint256 time, uint8 outcome, uint8 holdResult, Effects memory fx) private {
        job.outcome = outcome;
        job.holdResult = holdResult;
        uint128 escrow = job.escrow;
        if (holdResult == HOLD_BURNED) {
            fx.holdBurned = job.held;
            escrow -= job.held;
        } else {
            job.owed += job.held;
        }
        job.held = 0;
        fx.refund = escrow - job.owed;
        job.escrow = job.owed;
        enter(job, SETTLED, time);
    }

    // ---- Small steps.

    function enter(Job storage job, uint8 phase, uint256 time) private {
        job.phase = phase;
        job.phaseAt = uint40(time);
    }

    function pay(Job storage job, uint256 amount, Effects memory fx) private {
        job.escrow -= uint128(amount);
        fx.paid = uint128(amount);
    }

    /// @dev Cuts every seat of the set by `amount`, or by what is left of its stake. At most once per event.
    function burnStakes(Job storage job, uint256 seats, uint128 amount, Effects memory fx) private {
        fx.cutSeats = seats;
        fx.cuts = new uint128[](seats.count());
        uint256 i = 0;
        for (uint256 seat = 0; i < fx.cuts.length; ++seat) {
            if (!seats.has(seat)) continue;
            uint128 stake = job.seat[seat].stake;
            uint128 cut = amount < stake ? amount : stake;
            job.seat[seat].stake = stake - cut;
            fx.cuts[i++] = cut;
        }
    }

    function windowOf(Spec storage spec, uint8 phase) private view returns (uint256) {
        if (phase == OPEN) return spec.joinWindow;
        if (phase == READY) return spec.readyWindow;
        if (phase == COMMIT) return spec.commitWindow;
        if (phase == DRAW) return spec.drawWindow;
        if (phase == PROVE) return spec.proveWindow;
        if (phase == MERGE) return spec.mergeWindow;
        return spec.deliverWindow;
    }

    function everySeatDecided(Job storage job) private view returns (bool) {
        return job.committed | job.abstained == job.active;
    }

    function requireRequester(Spec storage spec, address by) private view {
        require(by == spec.requester, NotRequester());
    }

    function requireUndecided(Job storage job, Spec storage spec, uint256 time, uint256 seat) private view {
        requirePhase(job, spec, COMMIT, time);
        require(job.active.has(seat), NotSeat());
        require(!job.committed.has(seat), AlreadyCommitted());
        require(!job.abstained.has(seat), AlreadyAbstained());
    }
}

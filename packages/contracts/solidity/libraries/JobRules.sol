// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Spec} from "./JobTypes.sol";

/// @title Checks and formulas over the terms of a job; twin of `spec.ts`.
library JobRules {
    uint8 internal constant QUORUM_MODE = 0;
    uint8 internal constant PROOF_MODE = 1;
    uint256 private constant MAX_AMOUNT = 1 << 120;
    uint256 private constant BPS = 10_000;

    error BadMode();
    error BadSeats();
    error BadAveraging();
    error BadRounds();
    error BadFails();
    error BadSteps();
    error BadBatches();
    error BadAudit();
    error BadWindow();
    error BadAmount();
    error BadPrice();
    error StakeTooLow();
    error BudgetTooLarge();
    error BadDeadline();

    /// @notice The checks that need nothing but the terms, the time and the chain's shortest window. Quorum mode has
    /// no audits and no draw: auditSteps, auditBps, segment and drawWindow are not looked at.
    function check(Spec memory spec, uint256 time, uint256 minWindow) internal pure {
        require(spec.mode == QUORUM_MODE || spec.mode == PROOF_MODE, BadMode());
        require(spec.minSeats >= 1 && spec.minSeats <= spec.seats && spec.seats <= 256, BadSeats());
        require(spec.averaging >= spec.seats && spec.averaging & (spec.averaging - 1) == 0, BadAveraging());
        require(spec.rounds >= 1 && spec.rounds <= 1024, BadRounds());
        require(spec.maxFails >= 1 && spec.maxFails <= 16, BadFails());
        require(spec.steps >= 1, BadSteps());
        require(spec.nBatches >= 1, BadBatches());
        if (spec.mode == PROOF_MODE) checkAudit(spec);
        checkWindows(spec, minWindow);
        checkMoney(spec);
        uint256 earliest = time + spec.joinWindow + spec.readyWindow;
        require(spec.deadline == 0 || spec.deadline > earliest, BadDeadline());
    }

    function checkAudit(Spec memory spec) private pure {
        require(spec.segment >= 1 && spec.segment <= 4 && spec.steps % spec.segment == 0, BadAudit());
        require(spec.auditSteps >= 1 && spec.auditSteps <= 16, BadAudit());
        require((spec.steps / spec.segment) % spec.auditSteps == 0, BadAudit());
        require(spec.auditBps >= 1 && spec.auditBps <= BPS, BadAudit());
    }

    function checkWindows(Spec memory spec, uint256 minWindow) private pure {
        checkWindow(spec.joinWindow, minWindow, 7 days);
        checkWindow(spec.readyWindow, minWindow, 7 days);
        checkWindow(spec.commitWindow, minWindow, 7 days);
        checkWindow(spec.proveWindow, minWindow, 7 days);
        checkWindow(spec.mergeWindow, minWindow, 7 days);
        checkWindow(spec.deliverWindow, minWindow, 7 days);
        if (spec.mode == PROOF_MODE) checkWindow(spec.drawWindow, minWindow, 1 hours);
    }

    function checkWindow(uint256 length, uint256 shortest, uint256 longest) private pure {
        require(length >= shortest && length <= longest, BadWindow());
    }

    function checkMoney(Spec memory spec) private pure {
        require(
            spec.priceMin <= MAX_AMOUNT && spec.priceMax <= MAX_AMOUNT && spec.stake <= MAX_AMOUNT
                && spec.missPenalty <= MAX_AMOUNT && spec.mergeFee <= MAX_AMOUNT,
            BadAmount()
        );
        require(uint256(spec.deliveryBps) + spec.holdBps <= BPS && spec.priceMin <= spec.priceMax, BadPrice());
        require(uint256(spec.missPenalty) * 8 <= spec.stake, StakeTooLow());
        require(spec.stake >= minStake(spec) + spec.missPenalty, StakeTooLow());
        require(budget(spec) <= type(uint128).max, BudgetTooLarge());
    }

    /// @notice Units that `post` escrows.
    function budget(Spec memory spec) internal pure returns (uint256) {
        return uint256(spec.rounds) * (uint256(spec.seats) * spec.priceMax + spec.mergeFee);
    }

    /// @notice Stake below which a seat ends. Proof mode: the stake rule, so that faking one step, or all of them,
    /// costs more on average than the round pays. Quorum mode has no audits: a seat must cover its next miss.
    function minStake(Spec memory spec) internal pure returns (uint256) {
        if (spec.mode != PROOF_MODE) return spec.missPenalty;
        uint256 segments = spec.steps / spec.segment;
        uint256 bps = spec.auditBps;
        uint256 audited = spec.auditSteps;
        uint256 oneFake = divideUp(spec.priceMax * (BPS * segments - bps * audited), segments * bps * audited);
        uint256 allFake = divideUp(spec.priceMax * (BPS - bps), bps);
        return oneFake > allFake ? oneFake : allFake;
    }

    /// @notice How the pay of one worker and round is split; the parts add up to the price exactly.
    function parts(Spec storage spec, uint256 price)
        internal
        view
        returns (uint256 compute, uint256 delivery, uint256 hold)
    {
        delivery = price * spec.deliveryBps / BPS;
        hold = price * spec.holdBps / BPS;
        compute = price - delivery - hold;
    }

    /// @notice Price of the rising clock at `time` seconds.
    function priceAt(Spec storage spec, uint256 openedAt, uint256 time) internal view returns (uint256) {
        uint256 window = spec.joinWindow;
        uint256 elapsed = time > openedAt ? time - openedAt : 0;
        if (elapsed > window) elapsed = window;
        uint256 low = spec.priceMin;
        return low + (spec.priceMax - low) * elapsed / window;
    }

    function divideUp(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }
}

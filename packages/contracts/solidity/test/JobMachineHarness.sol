// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JobMachine} from "../libraries/JobMachine.sol";
import {Effects, Job, Row, Spec} from "../libraries/JobTypes.sol";
import {JobView, JobViews} from "../libraries/JobViews.sol";

/// @title Runs whole traces through the machine that JobBoard uses, in one eth_call, for shared vectors and fuzzing.
contract JobMachineHarness {
    enum Kind {
        Join,
        Cancel,
        Stop,
        Accept,
        Complain,
        Ready,
        Commit,
        Abstain,
        Leave,
        Draw,
        Prove,
        Attest,
        Merge,
        Tick,
        Claim,
        ClaimHold,
        Release
    }

    /// @notice `set` is a bitmap or an amount, `index` a slot or a round; what an event does not need is zero.
    struct Event {
        Kind kind;
        uint256 time;
        address who;
        uint256 seat;
        uint256 index;
        uint256 set;
        Row[] rows;
    }

    /// @notice Where the money went: sums of the effects.
    struct Flows {
        uint256 paid;
        uint256 refunded;
        uint256 burnedEscrow;
        uint256 burnedStake;
        uint256 returnedStake;
    }

    /// @notice State after an event, or the selector of the error with which it was refused.
    struct Step {
        bytes4 failure;
        JobView state;
        Flows flows;
    }

    mapping(bytes32 jobId => Spec) private specs;
    Job private job;
    Flows private flows;

    error OnlySelf();

    /// @return posted refusal of the terms, or the state after posting
    function run(Spec calldata terms, uint256 time, uint256 minWindow, Event[] calldata events)
        external
        returns (Step memory posted, Step[] memory steps)
    {
        posted.failure = attempt(abi.encodeCall(this.open, (terms, time, minWindow)));
        posted.state = JobViews.read(job);
        if (posted.failure != 0) return (posted, steps);
        steps = new Step[](events.length);
        for (uint256 i = 0; i < events.length; ++i) {
            steps[i].failure = attempt(abi.encodeCall(this.step, (events[i])));
            if (steps[i].failure != 0) continue;
            steps[i].state = JobViews.read(job);
            steps[i].flows = flows;
        }
    }

    /// @dev An external call to itself, so that a refused event changes nothing.
    function open(Spec calldata terms, uint256 time, uint256 minWindow) external {
        require(msg.sender == address(this), OnlySelf());
        JobMachine.post(job, specs, 0, terms, time, minWindow);
    }

    function step(Event calldata e) external {
        require(msg.sender == address(this), OnlySelf());
        Effects memory fx = e.kind <= Kind.Ready ? applyEarly(e) : applyLate(e);
        flows.paid += fx.paid;
        flows.refunded += fx.refund;
        flows.burnedEscrow += fx.holdBurned;
        flows.returnedStake += fx.returned;
        for (uint256 i = 0; i < fx.cuts.length; ++i) {
            flows.burnedStake += fx.cuts[i];
        }
    }

    function applyEarly(Event calldata e) private returns (Effects memory fx) {
        if (e.kind == Kind.Join) JobMachine.join(job, specs[0], e.time, e.who, e.set);
        else if (e.kind == Kind.Cancel) fx = JobMachine.cancel(job, specs[0], e.time, e.who);
        else if (e.kind == Kind.Stop) fx = JobMachine.stop(job, specs[0], e.time, e.who);
        else if (e.kind == Kind.Accept) fx = JobMachine.accept(job, specs[0], e.time, e.who);
        else if (e.kind == Kind.Complain) fx = JobMachine.complain(job, specs[0], e.time, e.who);
        else JobMachine.ready(job, specs[0], e.time, e.set);
    }

    function applyLate(Event calldata e) private returns (Effects memory fx) {
        if (e.kind == Kind.Commit) fx = JobMachine.commit(job, specs[0], e.time, e.seat);
        else if (e.kind == Kind.Abstain) fx = JobMachine.abstain(job, specs[0], e.time, e.seat);
        else if (e.kind == Kind.Leave) fx = JobMachine.leave(job, specs[0], e.time, e.seat);
        else if (e.kind == Kind.Draw) JobMachine.draw(job, specs[0], e.time, e.set);
        else if (e.kind == Kind.Prove) fx = JobMachine.prove(job, specs[0], e.time, e.seat, e.index);
        else if (e.kind == Kind.Attest) fx = JobMachine.attest(job, specs[0], e.time, e.rows);
        else if (e.kind == Kind.Merge) fx = JobMachine.merge(job, specs[0], e.time);
        else if (e.kind == Kind.Tick) fx = JobMachine.tick(job, specs[0], e.time);
        else if (e.kind == Kind.Claim) fx = JobMachine.claim(job, specs[0], e.seat, e.index);
        else if (e.kind == Kind.ClaimHold) fx = JobMachine.claimHold(job, specs[0], e.seat);
        else fx = JobMachine.release(job, e.seat);
    }

    function attempt(bytes memory call) private returns (bytes4 failure) {
        (bool ok, bytes memory reason) = address(this).call(call);
        if (!ok) failure = bytes4(reason);
    }
}

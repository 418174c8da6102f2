// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Spec} from "./JobTypes.sol";

/// @title Ids and EIP-712 struct hashes of jobs.
library JobHashes {
    bytes32 internal constant JOB_TAG = keccak256("skynet/1/job");
    bytes32 private constant SPEC = keccak256(
        "Spec(address requester,uint16 seats,uint16 minSeats,uint16 rounds,uint8 maxFails,uint8 mode,uint8 auditSteps,uint16 steps,address token,uint16 auditBps,uint16 deliveryBps,uint16 holdBps,uint40 deadline,uint32 joinWindow,uint32 readyWindow,uint32 commitWindow,uint32 drawWindow,uint32 proveWindow,uint32 mergeWindow,uint32 deliverWindow,uint16 segment,uint16 averaging,uint128 priceMin,uint128 priceMax,uint128 stake,uint128 missPenalty,uint128 mergeFee,uint64 nBatches,uint64 workUnits,bytes32 stepVerifier,bytes32 modelId,bytes32 dataRoot,address admitter,address beacon,bytes32 metaHash)"
    );
    bytes32 private constant ACCEPT =
        keccak256("Accept(bytes32 jobId,address worker,uint128 minPrice,uint64 expiry,uint32 epoch)");
    bytes32 private constant ADMIT = keccak256("Admit(bytes32 jobId,address worker,uint64 expiry)");
    bytes32 private constant READY = keccak256("Ready(bytes32 jobId,bytes32 keyRef)");
    bytes32 private constant COMMIT =
        keccak256("Commit(bytes32 jobId,uint16 round,bytes32 idEnd,bytes32 stepsRoot)");
    bytes32 private constant ATTEST =
        keccak256("Attest(bytes32 jobId,uint16 round,uint256 received,bytes32 idNext)");
    bytes32 private constant ABSTAIN = keccak256("Abstain(bytes32 jobId,uint16 round)");
    bytes32 private constant LEAVE = keccak256("Leave(bytes32 jobId,uint16 round)");

    /// @notice Binds chain, board, requester and terms, so that a reorganisation cannot change what a signature means.
    function jobId(address requester, uint256 nonce, bytes32 specHash) internal view returns (bytes32) {
        return keccak256(abi.encode(JOB_TAG, block.chainid, address(this), requester, nonce, specHash));
    }

    /// @dev All fields are one word each, so the ABI encoding is the EIP-712 encoding.
    function spec(Spec memory terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(SPEC, terms));
    }

    function accept(bytes32 job, address worker, uint128 minPrice, uint64 expiry, uint32 epoch)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ACCEPT, job, worker, minPrice, expiry, epoch));
    }

    function admit(bytes32 job, address worker, uint64 expiry) internal pure returns (bytes32) {
        return keccak256(abi.encode(ADMIT, job, worker, expiry));
    }

    function ready(bytes32 job, bytes32 keyRef) internal pure returns (bytes32) {
        return keccak256(abi.encode(READY, job, keyRef));
    }

    function commitment(bytes32 job, uint16 round, bytes32 idEnd, bytes32 stepsRoot) internal pure returns (bytes32) {
        return keccak256(abi.encode(COMMIT, job, round, idEnd, stepsRoot));
    }

    function attestation(bytes32 job, uint16 round, uint256 received, bytes32 idNext) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTEST, job, round, received, idNext));
    }

    function abstention(bytes32 job, uint16 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(ABSTAIN, job, round));
    }

    function departure(bytes32 job, uint16 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(LEAVE, job, round));
    }
}

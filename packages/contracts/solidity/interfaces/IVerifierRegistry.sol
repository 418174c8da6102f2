// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a verifier is for. Everything but `codehash` is a claim that nodes check by compiling the model again.
struct VerifierEntry {
    address verifier;
    uint40 since; // block of the registration, where the event is
    uint8 kind;
    uint16 weightBlocks; // points of the commitment to the weights
    bytes32 codehash;
    bytes32 circuitHash;
    bytes32 srsHash;
    bytes32 weightsTag; // prefix of the hash that makes an id from those points
    address registrar;
}

/// @notice What the boards need from the registry.
interface IVerifierRegistry {
    function entry(bytes32 verifierId) external view returns (VerifierEntry memory);
    function isLive(bytes32 verifierId) external view returns (bool);
    function verify(
        bytes32 verifierId,
        bytes32 context,
        bytes32 idIn,
        bytes32 idOut,
        bytes32 idData,
        bytes calldata proof
    ) external view returns (bool);
}

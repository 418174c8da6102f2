// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifier} from "./interfaces/IVerifier.sol";
import {IVerifierRegistry, VerifierEntry} from "./interfaces/IVerifierRegistry.sol";

/// @title Verifier contracts by what they verify.
/// @notice Anybody registers. An entry proves nothing about the verifier: it could accept false proofs or refuse true
/// ones. Nodes compile the model themselves and compare the code hash before they post or join; the id of the verifier
/// is part of the terms, so it cannot change afterwards.
contract VerifierRegistry is IVerifierRegistry {
    /// @notice What an entry says besides the code.
    struct Description {
        uint8 kind;
        bytes32 circuitHash;
        bytes32 srsHash;
        bytes32 weightsTag;
        uint16 weightBlocks;
    }

    uint8 public constant STEP = 1;
    uint8 public constant INFER = 2;
    /// @dev Longer than the delegation of EIP-7702 (23 bytes).
    uint256 private constant MIN_CODE = 24;
    uint256 private constant MAX_CODE = 24_576;
    /// @dev Kept from the verifier, so that one that burns all its gas ends in `false`.
    uint256 private constant GAS_RESERVE = 20_000;

    mapping(bytes32 verifierId => VerifierEntry) private entries;

    event VerifierRegistered(
        bytes32 indexed verifierId, address indexed verifier, address indexed registrar, Description description, string source
    );

    error BadKind();
    error BadBlocks();
    error BadCode();
    error CreationFailed();

    /// @notice Registers a contract that exists. `source` says where the model can be fetched; it is only published.
    /// What is registered already stays as it is.
    function register(Description calldata description, address verifier, string calldata source)
        external
        returns (bytes32 verifierId)
    {
        return enter(description, verifier, source);
    }

    /// @notice Creates the verifier, at an address that follows from its code, and registers it. A second call returns
    /// the same id: two people who deploy one model do not hinder each other.
    function deploy(Description calldata description, bytes calldata initcode, string calldata source)
        external
        returns (bytes32 verifierId)
    {
        bytes32 salt = description.circuitHash;
        address verifier = predict(salt, keccak256(initcode));
        if (verifier.code.length == 0) {
            bytes memory creation = initcode;
            address created;
            assembly ("memory-safe") {
                created := create2(0, add(creation, 32), mload(creation), salt)
            }
            require(created == verifier, CreationFailed());
        }
        return enter(description, verifier, source);
    }

    function entry(bytes32 verifierId) external view returns (VerifierEntry memory) {
        return entries[verifierId];
    }

    /// @notice Registered, and its code is what was registered.
    function isLive(bytes32 verifierId) public view returns (bool) {
        VerifierEntry storage known = entries[verifierId];
        address verifier = known.verifier;
        return verifier != address(0) && verifier.codehash == known.codehash;
    }

    /// @notice False when the verifier is unknown, has changed, reverts, or returns anything but one word of 1.
    function verify(
        bytes32 verifierId,
        bytes32 context,
        bytes32 idIn,
        bytes32 idOut,
        bytes32 idData,
        bytes calldata proof
    ) external view returns (bool) {
        if (!isLive(verifierId)) return false;
        address verifier = entries[verifierId].verifier;
        bytes memory data = abi.encodeCall(IVerifier.verify, (context, idIn, idOut, idData, proof));
        uint256 available = gasleft();
        if (available <= GAS_RESERVE) return false;
        bool success;
        uint256 size;
        uint256 answer;
        assembly ("memory-safe") {
            // the scratch word is cleared: an empty answer must not leave an old value in it
            mstore(0, 0)
            success := staticcall(sub(available, GAS_RESERVE), verifier, add(data, 32), mload(data), 0, 32)
            size := returndatasize()
            answer := mload(0)
        }
        return success && size == 32 && answer == 1;
    }

    function enter(Description calldata description, address verifier, string calldata source)
        private
        returns (bytes32 verifierId)
    {
        require(description.kind == STEP || description.kind == INFER, BadKind());
        require(description.weightBlocks > 0, BadBlocks());
        requirePlainCode(verifier);
        verifierId = idOf(description, verifier.codehash);
        if (entries[verifierId].verifier != address(0)) return verifierId;
        entries[verifierId] = VerifierEntry({
            verifier: verifier,
            since: uint40(block.number),
            kind: description.kind,
            weightBlocks: description.weightBlocks,
            codehash: verifier.codehash,
            circuitHash: description.circuitHash,
            srsHash: description.srsHash,
            weightsTag: description.weightsTag,
            registrar: msg.sender
        });
        emit VerifierRegistered(verifierId, verifier, msg.sender, description, source);
    }

    /// @dev The code of a delegated account (EIP-7702) can change although its address stays.
    function requirePlainCode(address verifier) private view {
        uint256 size = verifier.code.length;
        require(size >= MIN_CODE && size <= MAX_CODE, BadCode());
        bytes32 head;
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(verifier, 0, 0, 2)
            head := mload(0)
        }
        require(bytes2(head) != 0xef01, BadCode());
    }

    function idOf(Description calldata d, bytes32 codehash) private pure returns (bytes32) {
        return keccak256(abi.encode(d.kind, d.circuitHash, d.srsHash, d.weightsTag, d.weightBlocks, codehash));
    }

    function predict(bytes32 salt, bytes32 initcodeHash) private view returns (address) {
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, initcodeHash));
        return address(uint160(uint256(hash)));
    }
}

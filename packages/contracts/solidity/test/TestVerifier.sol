// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifier} from "../interfaces/IVerifier.sol";

/// @title Accepts the hash of the whole statement as its proof, so that a proof counts for exactly one statement.
contract TestVerifier is IVerifier {
    error Rejected(uint256 check);

    function verify(bytes32 context, bytes32 idIn, bytes32 idOut, bytes32 idData, bytes calldata proof)
        external
        pure
        returns (bool)
    {
        require(keccak256(proof) == keccak256(abi.encode(proofOf(context, idIn, idOut, idData))), Rejected(1));
        return true;
    }

    function proofOf(bytes32 context, bytes32 idIn, bytes32 idOut, bytes32 idData) public pure returns (bytes32) {
        return keccak256(abi.encode(context, idIn, idOut, idData));
    }
}

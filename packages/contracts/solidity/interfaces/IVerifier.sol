// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A generated contract that checks proofs of one circuit; it has no state.
interface IVerifier {
    /// @notice True when `proof` shows that the computation leads from `idIn` with the data `idData` to `idOut`.
    /// `context` is bound to the proof, so that it counts in one place only.
    function verify(bytes32 context, bytes32 idIn, bytes32 idOut, bytes32 idData, bytes calldata proof)
        external
        view
        returns (bool);
}

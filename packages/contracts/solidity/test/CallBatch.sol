// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Many calls of many accounts in one transaction, each compared with what a model expects of it.
/// @notice One call: puppet (20 bytes), target (20), verdict (1), sha256 of the expected answer (32), wei (12),
/// size (3), data.
contract CallBatch {
    uint8 private constant ANY_SUCCESS = 0;
    uint8 private constant SUCCESS = 1;
    uint256 private constant HEAD = 88;
    /// @dev A precompile that refuses its input burns all it was given.
    uint256 private constant CALL_GAS = 20_000_000;

    /// @notice The first call that ended otherwise than expected.
    error Unexpected(uint256 index, bool success, bytes answer);

    function run(bytes calldata calls) external {
        uint256 at = 0;
        for (uint256 index = 0; at < calls.length; ++index) {
            uint256 end = at + HEAD + uint24(bytes3(calls[at + 85:at + HEAD]));
            // the puppet takes the target, then the data
            bytes memory input = abi.encodePacked(calls[at + 20:at + 40], calls[at + HEAD:end]);
            uint256 value = uint96(bytes12(calls[at + 73:at + 85]));
            (bool ok, bytes memory answer) =
                address(bytes20(calls[at:at + 20])).call{gas: CALL_GAS, value: value}(input);
            uint8 verdict = uint8(calls[at + 40]);
            bool expected = verdict == ANY_SUCCESS
                ? ok
                : ok == (verdict == SUCCESS) && sha256(answer) == bytes32(calls[at + 41:at + 73]);
            require(expected, Unexpected(index, ok, answer));
            at = end;
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title An account of the fuzz tests: sends what it is told to, and signs without a key.
/// @notice Its signature of a digest is the hash of its address and the digest, so that it counts for one signer and one
/// message, as a real one does, and costs nothing to make.
contract Puppet {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        bool valid = signature.length == 32 && bytes32(signature) == keccak256(abi.encode(address(this), digest));
        return valid ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    receive() external payable {}

    /// @dev Calldata: 20 bytes of address, then the call.
    fallback(bytes calldata input) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = address(bytes20(input)).call{value: msg.value}(input[20:]);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}

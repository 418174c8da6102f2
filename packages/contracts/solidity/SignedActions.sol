// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @notice What makes a signed action of an account valid once: its next nonce, before its expiry (unix seconds).
struct Authorization {
    address signer;
    uint256 nonce;
    uint64 expiry;
    bytes signature;
}

/// @title Actions of an account that anybody can send, because the account has signed them.
/// @notice Nonces are counted for each signer and contract, in order: a signature works once, and an account cancels an
/// outstanding one by using its nonce for something else.
abstract contract SignedActions is EIP712 {
    /// @notice Nonce that the next signature of an account must name.
    mapping(address signer => uint256) public nonces;

    error BadNonce(uint256 expected);
    error SignatureExpired();

    /// @param structHash of the EIP-712 message; it must contain signer, nonce and expiry of the authorization
    function consume(Authorization calldata authorization, bytes32 structHash) internal {
        address signer = authorization.signer;
        require(block.timestamp <= authorization.expiry, SignatureExpired());
        uint256 expected = nonces[signer];
        require(authorization.nonce == expected, BadNonce(expected));
        nonces[signer] = expected + 1;
        Signatures.check(signer, _hashTypedDataV4(structHash), authorization.signature);
    }
}

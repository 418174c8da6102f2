// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TestToken} from "./TestToken.sol";

/// @title A token that refuses transfers to or from some accounts.
contract BlacklistToken is TestToken {
    mapping(address account => bool) public refused;

    error Refused(address account);

    function refuse(address account) external {
        refused[account] = true;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!refused[from], Refused(from));
        require(!refused[to], Refused(to));
        super._update(from, to, value);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TestToken} from "./TestToken.sol";

/// @title A token that calls back during transfers and remembers whether that worked.
contract ReentrantToken is TestToken {
    address private target;
    bytes private call;
    bool public attempted;
    bool public succeeded;

    function arm(address target_, bytes calldata call_) external {
        target = target_;
        call = call_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0)) return;
        attempted = true;
        (bool ok,) = target.call(call);
        if (ok) succeeded = true;
    }
}

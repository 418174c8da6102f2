// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Money of development chains: anybody may mint, and nowhere else.
contract TestToken is ERC20, ERC20Permit {
    error OnlyDevelopmentChain(uint256 chainId);

    constructor() ERC20("SkyNet Test Token", "TEST") ERC20Permit("SkyNet Test Token") {}

    /// @notice Six decimals, as common dollar tokens have.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        require(block.chainid == 31337, OnlyDevelopmentChain(block.chainid));
        _mint(to, amount);
    }
}

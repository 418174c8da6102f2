// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Creates the contracts of one version of SkyNet at addresses that everybody can compute.
/// @notice The constructor argument is part of the CREATE2 initcode, so the Deployer's address binds the code of every
/// child; the child's address follows from the Deployer's address and nonce. Anybody may deploy, in order, at any time.
contract Deployer {
    bytes32[] public initcodeHashes;
    /// @notice Index of the next child; it will be created with nonce `next + 1`.
    uint256 public next;

    event Deployed(uint256 indexed index, address child);

    error NothingToDeploy();
    error WrongInitcode(uint256 index, bytes32 expected);
    error CreationFailed(uint256 index);

    constructor(bytes32[] memory hashes) {
        initcodeHashes = hashes;
    }

    function deploy(bytes memory initcode) external returns (address child) {
        uint256 index = next;
        require(index < initcodeHashes.length, NothingToDeploy());
        bytes32 expected = initcodeHashes[index];
        require(keccak256(initcode) == expected, WrongInitcode(index, expected));
        next = index + 1;
        assembly ("memory-safe") {
            child := create(0, add(initcode, 32), mload(initcode))
        }
        require(child != address(0), CreationFailed(index));
        emit Deployed(index, child);
    }
}

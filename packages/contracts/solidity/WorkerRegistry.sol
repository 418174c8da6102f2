// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ILedger} from "./interfaces/ILedger.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";
import {Accounts} from "./libraries/Accounts.sol";
import {Siblings} from "./libraries/Siblings.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Authorization, SignedActions} from "./SignedActions.sol";

/// @title Workers, their stakes and their counters.
/// @notice A worker is the address of its node's hot key; money leaves only to `payout`, which the hot key cannot
/// change. Stakes are per token, because the stake rule compares them with prices in that token.
contract WorkerRegistry is IWorkerRegistry, SignedActions {
    struct Worker {
        address payout;
        uint40 since; // block of the registration, where the event with the public key is
        uint32 epoch;
    }

    /// @notice Counters are a hint: they cost only gas to farm. A counter that overflowed would stop every job of its
    /// worker for ever, so none is narrower than 32 bits: 2^32 slashes cost more gas than a chain has.
    struct Score {
        uint32 roundsPaid;
        uint32 roundsMissed;
        uint32 proofs; // audit slots that were answered
        uint32 slashes;
        uint32 jobs;
    }

    struct Stake {
        uint128 free;
        uint128 locked;
    }

    struct Exit {
        uint128 amount;
        uint40 due;
    }

    bytes32 private constant REGISTER_TYPEHASH = keccak256("Register(address worker,address payout,bytes32 capsHash)");
    bytes32 private constant CAPABILITIES_TYPEHASH =
        keccak256("Capabilities(address worker,bytes32 capsHash,uint256 nonce,uint64 expiry)");
    bytes32 private constant PAYOUT_TYPEHASH =
        keccak256("Payout(address signer,address worker,address payout,uint256 nonce,uint64 expiry)");
    bytes32 private constant STAKE_TYPEHASH =
        keccak256("Stake(address signer,address token,address worker,uint128 amount,uint256 nonce,uint64 expiry)");
    bytes32 private constant UNSTAKE_TYPEHASH =
        keccak256("Unstake(address signer,address token,address worker,uint128 amount,uint256 nonce,uint64 expiry)");
    bytes32 private constant EPOCH_TYPEHASH =
        keccak256("Epoch(address signer,address worker,uint256 nonce,uint64 expiry)");
    uint256 private constant MAX_CAPABILITIES = 1024;
    /// @dev All stakes of a token sit in one escrow account of this contract.
    bytes32 private constant STAKES = bytes32(0);

    ILedger public immutable ledger;
    address public immutable jobBoard;
    /// @notice Seconds between asking for stake back and getting it; 0 on a development chain.
    uint256 public immutable unbonding;

    mapping(address worker => Worker) public workers;
    mapping(address worker => Score) public scores;
    mapping(address worker => bytes32) public capabilitiesHash;
    mapping(address worker => mapping(address token => Stake)) public stakes;
    mapping(address worker => mapping(address token => Exit)) public exits;

    event Registered(address indexed worker, address indexed payout, bytes publicKey, bytes capabilities);
    event CapabilitiesSet(address indexed worker, bytes capabilities);
    event PayoutSet(address indexed worker, address indexed payout);
    event EpochBumped(address indexed worker, uint32 epoch);
    event StakeAdded(address indexed worker, address indexed token, uint256 amount);
    event UnstakeBegun(address indexed worker, address indexed token, uint256 amount, uint256 due);
    event Unstaked(address indexed worker, address indexed token, uint256 amount);
    event Locked(bytes32 indexed jobId, address indexed worker, address token, uint256 amount);
    event Unlocked(bytes32 indexed jobId, address indexed worker, address token, uint256 amount);
    event Slashed(bytes32 indexed jobId, address indexed worker, address token, uint256 amount);

    error NotRegistered();
    error AlreadyRegistered();
    error BadPubkey();
    error BadPayout();
    error CapabilitiesTooLong();
    error NotPayout();
    error NotJobBoard();
    error InsufficientStake(uint256 free, uint256 needed);
    error StillBonded(uint256 until);
    error ZeroAmount();

    constructor() EIP712("SkyNet", "1") {
        ledger = ILedger(Siblings.addressOf(msg.sender, Siblings.LEDGER));
        jobBoard = Siblings.addressOf(msg.sender, Siblings.JOB_BOARD);
        unbonding = block.chainid == 31337 ? 0 : 7 days;
    }

    modifier onlyJobBoard() {
        require(msg.sender == jobBoard, NotJobBoard());
        _;
    }

    /// @notice Registers the sender; `publicKey` is its uncompressed secp256k1 key without the leading 0x04.
    function register(bytes calldata publicKey, address payout, bytes calldata capabilities) external {
        require(workerOf(publicKey) == msg.sender, BadPubkey());
        enroll(msg.sender, publicKey, payout, capabilities);
    }

    /// @notice Registers a worker that signed `Register`; anybody may send it. A worker registers once, so the
    /// signature needs no nonce.
    function registerFor(
        bytes calldata publicKey,
        address payout,
        bytes calldata capabilities,
        bytes calldata signature
    ) external {
        address worker = workerOf(publicKey);
        bytes32 structHash = keccak256(abi.encode(REGISTER_TYPEHASH, worker, payout, keccak256(capabilities)));
        Signatures.check(worker, _hashTypedDataV4(structHash), signature);
        enroll(worker, publicKey, payout, capabilities);
    }

    function setCapabilities(bytes calldata capabilities) external {
        describe(msg.sender, capabilities);
    }

    function setCapabilitiesFor(bytes calldata capabilities, Authorization calldata by) external {
        consume(by, keccak256(abi.encode(CAPABILITIES_TYPEHASH, by.signer, keccak256(capabilities), by.nonce, by.expiry)));
        describe(by.signer, capabilities);
    }

    /// @notice Only the present payout address may name the next one: a stolen hot key cannot redirect money.
    function setPayout(address worker, address payout) external {
        redirect(msg.sender, worker, payout);
    }

    function setPayoutFor(address worker, address payout, Authorization calldata by) external {
        consume(by, keccak256(abi.encode(PAYOUT_TYPEHASH, by.signer, worker, payout, by.nonce, by.expiry)));
        redirect(by.signer, worker, payout);
    }

    /// @notice Moves `amount` from the sender's Ledger balance into the free stake of a registered worker.
    function addStake(address token, address worker, uint128 amount) external {
        fund(msg.sender, token, worker, amount);
    }

    /// @notice The same from the Ledger balance of the signer, which is most often the worker itself.
    function addStakeFor(address token, address worker, uint128 amount, Authorization calldata by) external {
        consume(by, keccak256(abi.encode(STAKE_TYPEHASH, by.signer, token, worker, amount, by.nonce, by.expiry)));
        fund(by.signer, token, worker, amount);
    }

    /// @notice A second call merges with the first and restarts the wait.
    function beginUnstake(address token, address worker, uint128 amount) external {
        withdrawStake(msg.sender, token, worker, amount);
    }

    function beginUnstakeFor(address token, address worker, uint128 amount, Authorization calldata by) external {
        consume(by, keccak256(abi.encode(UNSTAKE_TYPEHASH, by.signer, token, worker, amount, by.nonce, by.expiry)));
        withdrawStake(by.signer, token, worker, amount);
    }

    function finishUnstake(address token, address worker) external {
        Exit memory exit = exits[worker][token];
        require(exit.amount > 0, ZeroAmount());
        require(block.timestamp >= exit.due, StillBonded(exit.due));
        delete exits[worker][token];
        ledger.move(token, STAKES, Accounts.user(workers[worker].payout), exit.amount);
        emit Unstaked(worker, token, exit.amount);
    }

    /// @notice Cancels every outstanding `Accept` signature of the worker.
    function bumpEpoch(address worker) external {
        nextEpoch(msg.sender, worker);
    }

    function bumpEpochFor(address worker, Authorization calldata by) external {
        consume(by, keccak256(abi.encode(EPOCH_TYPEHASH, by.signer, worker, by.nonce, by.expiry)));
        nextEpoch(by.signer, worker);
    }

    function lock(bytes32 jobId, address worker, address token, uint128 amount)
        external
        onlyJobBoard
        returns (address payout, uint32 epoch)
    {
        requireRegistered(worker);
        Stake storage stake = stakes[worker][token];
        takeFree(stake, amount);
        stake.locked += amount;
        emit Locked(jobId, worker, token, amount);
        return (workers[worker].payout, workers[worker].epoch);
    }

    function unlock(bytes32 jobId, address worker, address token, uint128 amount) external onlyJobBoard {
        Stake storage stake = stakes[worker][token];
        stake.locked -= amount;
        stake.free += amount;
        scores[worker].jobs += 1;
        emit Unlocked(jobId, worker, token, amount);
    }

    /// @notice Burns locked stake; `audit` tells a failed audit from a missed commit.
    function slash(bytes32 jobId, address token, address[] calldata slashed, uint128[] calldata amounts, bool audit)
        external
        onlyJobBoard
    {
        uint256 sum = 0;
        for (uint256 i = 0; i < slashed.length; ++i) {
            stakes[slashed[i]][token].locked -= amounts[i];
            if (audit) scores[slashed[i]].slashes += 1;
            else scores[slashed[i]].roundsMissed += 1;
            sum += amounts[i];
            emit Slashed(jobId, slashed[i], token, amounts[i]);
        }
        if (sum > 0) ledger.move(token, STAKES, Accounts.BURN, sum);
    }

    function recordPaid(address worker, uint32 rounds) external onlyJobBoard returns (address payout) {
        scores[worker].roundsPaid += rounds;
        return workers[worker].payout;
    }

    function recordProof(address worker) external onlyJobBoard {
        scores[worker].proofs += 1;
    }

    function enroll(address worker, bytes calldata publicKey, address payout, bytes calldata capabilities) private {
        require(workers[worker].payout == address(0), AlreadyRegistered());
        require(payout != address(0), BadPayout());
        workers[worker] = Worker({payout: payout, since: uint40(block.number), epoch: 0});
        storeCapabilities(worker, capabilities);
        emit Registered(worker, payout, publicKey, capabilities);
    }

    function describe(address worker, bytes calldata capabilities) private {
        requireRegistered(worker);
        storeCapabilities(worker, capabilities);
        emit CapabilitiesSet(worker, capabilities);
    }

    function redirect(address by, address worker, address payout) private {
        require(by == workers[worker].payout, NotPayout());
        require(payout != address(0), BadPayout());
        workers[worker].payout = payout;
        emit PayoutSet(worker, payout);
    }

    /// @dev `from` has sent or signed this.
    function fund(address from, address token, address worker, uint128 amount) private {
        requireRegistered(worker);
        require(amount > 0, ZeroAmount());
        ledger.pull(token, from, STAKES, amount);
        stakes[worker][token].free += amount;
        emit StakeAdded(worker, token, amount);
    }

    function withdrawStake(address by, address token, address worker, uint128 amount) private {
        requireWorkerOrPayout(by, worker);
        require(amount > 0, ZeroAmount());
        takeFree(stakes[worker][token], amount);
        Exit storage exit = exits[worker][token];
        exit.amount += amount;
        exit.due = uint40(block.timestamp + unbonding);
        emit UnstakeBegun(worker, token, exit.amount, exit.due);
    }

    function nextEpoch(address by, address worker) private {
        requireWorkerOrPayout(by, worker);
        uint32 epoch = ++workers[worker].epoch;
        emit EpochBumped(worker, epoch);
    }

    function storeCapabilities(address worker, bytes calldata capabilities) private {
        require(capabilities.length <= MAX_CAPABILITIES, CapabilitiesTooLong());
        capabilitiesHash[worker] = keccak256(capabilities);
    }

    function takeFree(Stake storage stake, uint128 amount) private {
        uint128 free = stake.free;
        require(free >= amount, InsufficientStake(free, amount));
        stake.free = free - amount;
    }

    function workerOf(bytes calldata publicKey) private pure returns (address) {
        require(publicKey.length == 64, BadPubkey());
        return address(uint160(uint256(keccak256(publicKey))));
    }

    function requireRegistered(address worker) private view {
        require(workers[worker].payout != address(0), NotRegistered());
    }

    function requireWorkerOrPayout(address by, address worker) private view {
        requireRegistered(worker);
        require(by == worker || by == workers[worker].payout, NotPayout());
    }
}

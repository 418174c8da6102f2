// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ILedger} from "./interfaces/ILedger.sol";
import {Accounts} from "./libraries/Accounts.sol";
import {Siblings} from "./libraries/Siblings.sol";
import {Authorization, SignedActions} from "./SignedActions.sol";

/// @title The one contract that holds tokens.
/// @notice Tokens enter by `deposit` and leave by `withdraw`; everything between is bookkeeping. No owner, no fee, no
/// pause. Rebasing tokens are not supported; a token that takes a fee on transfer is refused.
contract Ledger is ILedger, SignedActions, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice An EIP-2612 permit for the Ledger; all zero when the token has none and an approval is there.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    bytes32 private constant DEPOSIT_TYPEHASH =
        keccak256("Deposit(address signer,address token,address to,uint256 amount,uint256 nonce,uint64 expiry)");
    uint256 private constant MAX_AMOUNT = 1 << 120;

    address public immutable workerRegistry;
    address public immutable jobBoard;
    address public immutable catalog;
    address public immutable inferenceBoard;

    mapping(address token => mapping(bytes32 account => uint256)) public balance;
    /// @notice Sum of all accounts of a token; never more than the tokens that the Ledger holds.
    mapping(address token => uint256) public total;

    event Deposited(address indexed token, address indexed from, address indexed to, uint256 amount);
    event Withdrawn(address indexed token, address indexed owner, address indexed to, uint256 amount);
    event Moved(address indexed token, bytes32 indexed from, bytes32 indexed to, uint256 amount);

    error FeeOnTransfer(uint256 expected, uint256 received);
    error InsufficientBalance(uint256 available, uint256 needed);
    error NotModule();
    error ZeroAmount();
    error BadAmount();

    constructor() EIP712("SkyNet", "1") {
        workerRegistry = Siblings.addressOf(msg.sender, Siblings.WORKER_REGISTRY);
        jobBoard = Siblings.addressOf(msg.sender, Siblings.JOB_BOARD);
        catalog = Siblings.addressOf(msg.sender, Siblings.CATALOG);
        inferenceBoard = Siblings.addressOf(msg.sender, Siblings.INFERENCE_BOARD);
    }

    modifier onlyModule() {
        bool known = msg.sender == jobBoard || msg.sender == workerRegistry || msg.sender == catalog
            || msg.sender == inferenceBoard;
        require(known, NotModule());
        _;
    }

    function balanceOf(address token, address owner) external view returns (uint256) {
        return balance[token][Accounts.user(owner)];
    }

    function deposit(address token, address to, uint256 amount) external {
        collect(token, msg.sender, to, amount);
    }

    /// @notice A permit that somebody else has sent first must not stop the deposit, so its failure is ignored.
    function depositWithPermit(
        address token,
        address to,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        usePermit(token, msg.sender, amount, Permit(deadline, v, r, s));
        collect(token, msg.sender, to, amount);
    }

    /// @notice The same for an owner without gas. The permit alone is no consent, because its failure is ignored: with
    /// an older approval anybody could move the owner's tokens in. So the owner signs the deposit, too.
    function depositFor(
        address token,
        address to,
        uint256 amount,
        Permit calldata permit,
        Authorization calldata by
    ) external {
        consume(by, keccak256(abi.encode(DEPOSIT_TYPEHASH, by.signer, token, to, amount, by.nonce, by.expiry)));
        usePermit(token, by.signer, amount, permit);
        collect(token, by.signer, to, amount);
    }

    function withdraw(address token, address to, uint256 amount) external {
        pay(token, msg.sender, to, amount);
    }

    /// @notice Sends `owner` everything it has; lets a sponsor pay the gas.
    function withdrawFor(address token, address owner) external {
        pay(token, owner, owner, balance[token][Accounts.user(owner)]);
    }

    /// @notice Moves money out of an escrow of the calling module; another module's escrow has another name.
    function move(address token, bytes32 localId, bytes32 to, uint256 amount) external onlyModule {
        transfer(token, Accounts.escrow(msg.sender, localId), to, amount);
    }

    /// @notice Moves a user's money into an escrow of the calling module, which has the user's consent.
    function pull(address token, address user, bytes32 localId, uint256 amount) external onlyModule {
        transfer(token, Accounts.user(user), Accounts.escrow(msg.sender, localId), amount);
    }

    function usePermit(address token, address owner, uint256 amount, Permit memory permit) private {
        try IERC20Permit(token).permit(
            owner, address(this), amount, permit.deadline, permit.v, permit.r, permit.s
        ) {} catch {}
    }

    /// @dev `from` has sent or signed this.
    function collect(address token, address from, address to, uint256 amount) private nonReentrant {
        require(amount > 0, ZeroAmount());
        require(amount <= MAX_AMOUNT, BadAmount());
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received == amount, FeeOnTransfer(amount, received));
        balance[token][Accounts.user(to)] += amount;
        total[token] += amount;
        emit Deposited(token, from, to, amount);
    }

    function pay(address token, address owner, address to, uint256 amount) private nonReentrant {
        require(amount > 0, ZeroAmount());
        take(token, Accounts.user(owner), amount);
        total[token] -= amount;
        emit Withdrawn(token, owner, to, amount);
        IERC20(token).safeTransfer(to, amount);
    }

    function transfer(address token, bytes32 from, bytes32 to, uint256 amount) private {
        take(token, from, amount);
        balance[token][to] += amount;
        emit Moved(token, from, to, amount);
    }

    function take(address token, bytes32 account, uint256 amount) private {
        uint256 available = balance[token][account];
        require(available >= amount, InsufficientBalance(available, amount));
        balance[token][account] = available - amount;
    }
}

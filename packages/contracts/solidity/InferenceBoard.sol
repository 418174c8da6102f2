// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ILedger} from "./interfaces/ILedger.sol";
import {IVerifierRegistry} from "./interfaces/IVerifierRegistry.sol";
import {Accounts} from "./libraries/Accounts.sol";
import {Siblings} from "./libraries/Siblings.sol";

/// @title Answers of models, paid when they are proven.
/// @notice A host that does not answer in time, whatever the reason, is not paid and not punished.
contract InferenceBoard {
    /// @notice What a host offers. `outputTag` is the verifier's prefix of the hash of logits: with another one no
    /// answer can be proven.
    struct OfferTerms {
        bytes32 modelId;
        bytes32 verifierId;
        bytes32 outputTag;
        address token;
        uint96 price;
        uint32 maxLatency; // seconds
        bytes meta; // what the host says of the model; only published
    }

    struct Offer {
        address host;
        uint40 since; // block of the offer
        uint32 maxLatency;
        bool active;
        address token;
        uint96 price;
        bytes32 modelId;
        bytes32 verifierId;
        bytes32 outputTag;
    }

    struct Order {
        bytes32 offerId;
        address requester;
        uint40 at;
        uint8 state;
        uint96 price;
        bytes32 xId; // id of the input, as the verifier takes it
    }

    uint8 public constant OPEN = 1;
    uint8 public constant PAID = 2;
    uint8 public constant REFUNDED = 3;

    bytes32 private constant OFFER_TAG = keccak256("skynet/1/offer");
    bytes32 private constant REQUEST_TAG = keccak256("skynet/1/request");
    bytes32 private constant INFER_TAG = keccak256("skynet/1/infer");
    uint8 private constant INFER = 2;
    uint256 private constant MAX_LATENCY = 7 days;
    uint256 private constant MAX_REFERENCE = 1024;
    uint256 private constant MAX_ANSWER = 1024;
    uint256 private constant MAX_META = 4096;

    ILedger public immutable ledger;
    IVerifierRegistry public immutable verifierRegistry;

    /// @notice Counts offers and requests of an account; part of their ids.
    mapping(address account => uint256) public nonces;
    mapping(bytes32 offerId => Offer) private offers;
    mapping(bytes32 orderId => Order) private orders;

    event Offered(bytes32 indexed offerId, address indexed host, bytes32 indexed modelId, OfferTerms terms);
    event OfferPriceSet(bytes32 indexed offerId, uint96 price);
    event OfferClosed(bytes32 indexed offerId);
    event Requested(
        bytes32 indexed orderId,
        bytes32 indexed offerId,
        address indexed requester,
        uint96 price,
        bytes32 xId,
        bytes xRef
    );
    event Answered(
        bytes32 indexed orderId, bytes32 indexed offerId, address indexed host, uint256 amount, bytes z
    );
    event Refunded(bytes32 indexed orderId, bytes32 indexed offerId, address indexed requester, uint256 amount);

    error BadVerifier();
    error BadModel();
    error BadLatency();
    error MetaTooLong();
    error NotToken();
    error NotActive();
    error NotHost();
    error PriceChanged(uint256 price);
    error BadInput();
    error ReferenceTooLong();
    error BadAnswer();
    error AnswerRejected();
    error TooEarly();
    error TooLate();
    error WrongState(uint8 state);

    constructor() {
        ledger = ILedger(Siblings.addressOf(msg.sender, Siblings.LEDGER));
        verifierRegistry = IVerifierRegistry(Siblings.addressOf(msg.sender, Siblings.VERIFIER_REGISTRY));
    }

    // ---- Hosts.

    function offer(OfferTerms calldata terms) external returns (bytes32 offerId) {
        checkTerms(terms);
        offerId = keccak256(
            abi.encode(
                OFFER_TAG,
                block.chainid,
                address(this),
                msg.sender,
                nonces[msg.sender]++,
                terms.modelId,
                terms.verifierId,
                terms.outputTag,
                terms.token,
                terms.maxLatency
            )
        );
        offers[offerId] = Offer({
            host: msg.sender,
            since: uint40(block.number),
            maxLatency: terms.maxLatency,
            active: true,
            token: terms.token,
            price: terms.price,
            modelId: terms.modelId,
            verifierId: terms.verifierId,
            outputTag: terms.outputTag
        });
        emit Offered(offerId, msg.sender, terms.modelId, terms);
    }

    /// @notice Orders keep the price at which they were made.
    function setPrice(bytes32 offerId, uint96 price) external {
        Offer storage offered = ownOffer(offerId);
        requireToken(offered.token, price);
        offered.price = price;
        emit OfferPriceSet(offerId, price);
    }

    /// @notice Takes no more requests, for ever; open orders can still be answered.
    function close(bytes32 offerId) external {
        ownOffer(offerId).active = false;
        emit OfferClosed(offerId);
    }

    // ---- Requesters.

    /// @notice Escrows the price from the requester's Ledger balance.
    /// @param xId id of the input, as the verifier takes it
    /// @param xRef tells the host where the input is; only published
    function request(bytes32 offerId, uint96 maxPrice, bytes32 xId, bytes calldata xRef)
        external
        returns (bytes32 orderId)
    {
        Offer storage offered = offers[offerId];
        require(offered.active, NotActive());
        uint96 price = offered.price;
        require(price <= maxPrice, PriceChanged(price));
        require(xId != 0, BadInput());
        require(xRef.length <= MAX_REFERENCE, ReferenceTooLong());
        orderId = keccak256(
            abi.encode(
                REQUEST_TAG,
                block.chainid,
                address(this),
                offerId,
                msg.sender,
                nonces[msg.sender]++,
                xId,
                keccak256(xRef)
            )
        );
        orders[orderId] = Order({
            offerId: offerId,
            requester: msg.sender,
            at: uint40(block.timestamp),
            state: OPEN,
            price: price,
            xId: xId
        });
        emit Requested(orderId, offerId, msg.sender, price, xId, xRef);
        if (price > 0) ledger.pull(offered.token, msg.sender, orderId, price);
    }

    // ---- Anybody.

    /// @notice Pays the host of the order, whoever sends the answer.
    /// @param z the logits, one word each
    /// @param proof that the model of the offer turns the input of the order into z, made for `statement(orderId, z)`
    function answer(bytes32 orderId, bytes calldata z, bytes calldata proof) external {
        Order storage order_ = orders[orderId];
        Offer storage offered = offers[order_.offerId];
        requireOpen(order_);
        require(block.timestamp < order_.at + offered.maxLatency, TooLate());
        require(z.length > 0 && z.length <= MAX_ANSWER, BadAnswer());
        order_.state = PAID;
        bool valid = verifierRegistry.verify(
            offered.verifierId,
            contextOf(orderId, order_, offered, z),
            offered.modelId,
            outputId(offered, z),
            order_.xId,
            proof
        );
        require(valid, AnswerRejected());
        address host = offered.host;
        emit Answered(orderId, order_.offerId, host, order_.price, z);
        if (order_.price > 0) ledger.move(offered.token, orderId, Accounts.user(host), order_.price);
    }

    /// @notice Refunds an order that was not answered in time.
    function tick(bytes32 orderId) external {
        Order storage order_ = orders[orderId];
        Offer storage offered = offers[order_.offerId];
        requireOpen(order_);
        require(block.timestamp >= order_.at + offered.maxLatency, TooEarly());
        order_.state = REFUNDED;
        emit Refunded(orderId, order_.offerId, order_.requester, order_.price);
        if (order_.price > 0) ledger.move(offered.token, orderId, Accounts.user(order_.requester), order_.price);
    }

    function offerOf(bytes32 offerId) external view returns (Offer memory) {
        return offers[offerId];
    }

    function order(bytes32 orderId) external view returns (Order memory) {
        return orders[orderId];
    }

    /// @notice What a proof of the answer z must be made for: the context, and the id of the output.
    function statement(bytes32 orderId, bytes calldata z) external view returns (bytes32 context, bytes32 idOut) {
        Order storage order_ = orders[orderId];
        Offer storage offered = offers[order_.offerId];
        return (contextOf(orderId, order_, offered, z), outputId(offered, z));
    }

    // ---- Checks.

    function checkTerms(OfferTerms calldata terms) private view {
        require(terms.modelId != 0, BadModel());
        bytes32 verifierId = terms.verifierId;
        require(
            verifierRegistry.isLive(verifierId) && verifierRegistry.entry(verifierId).kind == INFER, BadVerifier()
        );
        require(terms.maxLatency > 0 && terms.maxLatency <= MAX_LATENCY, BadLatency());
        require(terms.meta.length <= MAX_META, MetaTooLong());
        requireToken(terms.token, terms.price);
    }

    function requireToken(address token, uint96 price) private view {
        require(price == 0 || token.code.length > 0, NotToken());
    }

    function ownOffer(bytes32 offerId) private view returns (Offer storage offered) {
        offered = offers[offerId];
        require(offered.active, NotActive());
        require(msg.sender == offered.host, NotHost());
    }

    function requireOpen(Order storage order_) private view {
        uint8 state = order_.state;
        require(state == OPEN, WrongState(state));
    }

    /// @dev Binds the proof to one order, one answer and one host: a copy of it pays the same host.
    function contextOf(bytes32 orderId, Order storage order_, Offer storage offered, bytes calldata z)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                INFER_TAG,
                block.chainid,
                address(this),
                orderId,
                offered.verifierId,
                offered.modelId,
                order_.xId,
                keccak256(z),
                offered.host
            )
        );
    }

    /// @dev The verifier hashes the proven logits in the same way, so that it accepts no other z.
    function outputId(Offer storage offered, bytes calldata z) private view returns (bytes32) {
        return keccak256(abi.encodePacked(offered.outputTag, z));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ILedger} from "./interfaces/ILedger.sol";
import {Accounts} from "./libraries/Accounts.sol";
import {Curve} from "./libraries/Curve.sol";
import {Siblings} from "./libraries/Siblings.sol";

/// @title Data and models for sale, and the fair delivery of their keys.
/// @notice A buyer names a fresh point B = b·G; the seller answers with R = r·G and the key under the hash of r·B = b·R.
/// A key that is not the committed one can be shown by revealing b. That the key opens the right content is checked by
/// the buyer against `contentRoot`, before use and off chain.
contract Catalog {
    /// @notice What a seller offers. Free listings have price, key commitment and bond 0, and need no purchase.
    struct ListingTerms {
        uint8 kind;
        uint16 licence;
        address token;
        uint96 price;
        uint128 bond; // from the seller's Ledger balance; compensates buyers who got a wrong key
        bytes32 contentRoot; // DATA: root over the batches; MODEL: id of the weights
        bytes32 keyCommit; // keccak256 of the 32-byte key
        bytes32 aux; // DATA: number of batches and shape; MODEL: hash of the circuit
        string cid;
        bytes meta;
    }

    struct Listing {
        address seller;
        uint40 since; // block of the listing, where the event with CID and metadata is
        uint8 kind;
        bool active;
        uint16 licence;
        address token;
        uint96 price;
        uint128 bond; // what no open order has reserved
        bytes32 cidHash;
        bytes32 contentRoot;
        bytes32 keyCommit;
        bytes32 aux;
    }

    struct Order {
        bytes32 listingId;
        address buyer;
        uint40 at; // time of the purchase, then of the delivery
        uint8 state;
        uint96 price;
        uint128 share; // part of the bond that a wrong key costs the seller
        uint256 Bx;
        uint256 By;
        uint256 Rx;
        uint256 Ry;
        bytes32 sealedKey;
    }

    uint8 public constant DATA = 1;
    uint8 public constant MODEL = 2;

    uint8 public constant NEW = 1;
    uint8 public constant DELIVERED = 2;
    uint8 public constant PAID = 3;
    uint8 public constant REFUNDED = 4;

    bytes32 private constant LISTING_TAG = keccak256("skynet/1/listing");
    bytes32 private constant ORDER_TAG = keccak256("skynet/1/order");
    uint256 private constant MAX_CID = 128;
    uint256 private constant MAX_META = 4096;

    ILedger public immutable ledger;
    /// @notice Seconds in which the seller must deliver.
    uint256 public immutable deliveryWindow;
    /// @notice Seconds after which the buyer may cancel what is not delivered.
    uint256 public immutable cancelDelay;
    /// @notice Seconds in which the buyer may show that the key is wrong.
    uint256 public immutable complaintWindow;

    /// @notice Counts listings and purchases of an account; part of their ids.
    mapping(address account => uint256) public nonces;
    mapping(bytes32 listingId => Listing) private listings;
    mapping(bytes32 orderId => Order) private orders;

    event Listed(bytes32 indexed listingId, address indexed seller, uint8 indexed kind, ListingTerms terms);
    event PriceSet(bytes32 indexed listingId, uint96 price);
    event Deactivated(bytes32 indexed listingId);
    event BondReturned(bytes32 indexed listingId, uint256 amount);
    event Bought(
        bytes32 indexed orderId,
        bytes32 indexed listingId,
        address indexed buyer,
        uint96 price,
        uint128 share,
        uint256 Bx,
        uint256 By
    );
    event Delivered(
        bytes32 indexed orderId, bytes32 indexed listingId, uint256 Rx, uint256 Ry, bytes32 sealedKey
    );
    event Complained(bytes32 indexed orderId, bytes32 indexed listingId, uint256 share);
    event Cancelled(bytes32 indexed orderId, bytes32 indexed listingId);
    event Refunded(bytes32 indexed orderId, bytes32 indexed listingId, address indexed buyer, uint256 amount);
    event Paid(bytes32 indexed orderId, bytes32 indexed listingId, address indexed seller, uint256 amount);

    error BadListingKind();
    error BadListingPrice();
    error BadContent();
    error BadCid();
    error MetaTooLong();
    error BadBond();
    error NotToken();
    error NotActive();
    error FreeListing();
    error PriceChanged(uint256 price);
    error NotSeller();
    error NotBuyer();
    error WrongSecret();
    error KeyIsRight();
    error TooEarly();
    error TooLate();
    error WrongState(uint8 state);

    constructor() {
        ledger = ILedger(Siblings.addressOf(msg.sender, Siblings.LEDGER));
        bool development = block.chainid == 31337;
        deliveryWindow = development ? 60 seconds : 24 hours;
        cancelDelay = development ? 30 seconds : 1 hours;
        complaintWindow = development ? 10 seconds : 24 hours;
    }

    // ---- Sellers.

    /// @notice Content and key of a listing never change; a new version is a new listing. CID and metadata are only
    /// published.
    function list(ListingTerms calldata terms) external returns (bytes32 listingId) {
        checkTerms(terms);
        bytes32 cidHash = keccak256(bytes(terms.cid));
        listingId = idOf(terms, cidHash, nonces[msg.sender]++);
        listings[listingId] = Listing({
            seller: msg.sender,
            since: uint40(block.number),
            kind: terms.kind,
            active: true,
            licence: terms.licence,
            token: terms.token,
            price: terms.price,
            bond: terms.bond,
            cidHash: cidHash,
            contentRoot: terms.contentRoot,
            keyCommit: terms.keyCommit,
            aux: terms.aux
        });
        emit Listed(listingId, msg.sender, terms.kind, terms);
        if (terms.bond > 0) ledger.pull(terms.token, msg.sender, listingId, terms.bond);
    }

    /// @notice Orders keep the price at which they were bought.
    function setPrice(bytes32 listingId, uint96 price) external {
        Listing storage listing_ = ownListing(listingId);
        require(price > 0 && listing_.keyCommit != 0, BadListingPrice());
        listing_.price = price;
        emit PriceSet(listingId, price);
    }

    /// @notice Ends the sale, for ever. Open orders go on; the part of the bond that none of them has reserved returns
    /// at once, the rest when they end.
    function deactivate(bytes32 listingId) external {
        Listing storage listing_ = ownListing(listingId);
        uint128 bond = listing_.bond;
        listing_.active = false;
        listing_.bond = 0;
        emit Deactivated(listingId);
        if (bond > 0) returnBond(listing_, listingId, bond);
    }

    /// @notice R = r·G for a fresh r, and the key XOR keccak256(abi.encode(r·B)).
    /// @dev Whoever sees this transaction before it counts can open the key. Sellers send it before `cancelDelay` is
    /// over: until then the order can only be delivered.
    function deliver(bytes32 orderId, uint256 Rx, uint256 Ry, bytes32 sealedKey) external {
        Order storage order_ = orders[orderId];
        requireState(order_, NEW);
        require(block.timestamp < order_.at + deliveryWindow, TooLate());
        require(msg.sender == listings[order_.listingId].seller, NotSeller());
        Curve.requirePoint(Curve.Point(Rx, Ry));
        order_.state = DELIVERED;
        order_.at = uint40(block.timestamp);
        order_.Rx = Rx;
        order_.Ry = Ry;
        order_.sealedKey = sealedKey;
        emit Delivered(orderId, order_.listingId, Rx, Ry, sealedKey);
    }

    // ---- Buyers.

    /// @notice Escrows the price from the buyer's Ledger balance, and reserves as much of the bond, if there is as much.
    /// @param maxPrice the price may have changed since the buyer saw it
    /// @param Bx x of b·G for a fresh secret b, that is used for this order only
    function buy(bytes32 listingId, uint96 maxPrice, uint256 Bx, uint256 By) external returns (bytes32 orderId) {
        Listing storage listing_ = listings[listingId];
        require(listing_.active, NotActive());
        uint96 price = listing_.price;
        require(price > 0, FreeListing());
        require(price <= maxPrice, PriceChanged(price));
        Curve.requirePoint(Curve.Point(Bx, By));
        orderId = keccak256(
            abi.encode(ORDER_TAG, block.chainid, address(this), listingId, msg.sender, nonces[msg.sender]++, Bx, By)
        );
        uint128 bond = listing_.bond;
        uint128 share = bond < price ? bond : price;
        listing_.bond = bond - share;
        Order storage order_ = orders[orderId];
        order_.listingId = listingId;
        order_.buyer = msg.sender;
        order_.at = uint40(block.timestamp);
        order_.state = NEW;
        order_.price = price;
        order_.share = share;
        order_.Bx = Bx;
        order_.By = By;
        emit Bought(orderId, listingId, msg.sender, price, share, Bx, By);
        ledger.pull(listing_.token, msg.sender, orderId, price);
    }

    /// @notice Shows that the delivered key is not the committed one. The buyer gets the price back, and the reserved
    /// part of the bond: nobody decides here, only a seller who sealed a wrong key can lose it.
    /// @param b the secret behind B; it is public from here on
    function complain(bytes32 orderId, uint256 b) external {
        Order storage order_ = orders[orderId];
        requireState(order_, DELIVERED);
        require(block.timestamp < order_.at + complaintWindow, TooLate());
        require(msg.sender == order_.buyer, NotBuyer());
        Curve.Point memory own = Curve.multiply(Curve.Point(1, 2), b);
        require(own.x == order_.Bx && own.y == order_.By, WrongSecret());
        Curve.Point memory shared = Curve.multiply(Curve.Point(order_.Rx, order_.Ry), b);
        bytes32 key = order_.sealedKey ^ keccak256(abi.encode(shared.x, shared.y));
        bytes32 listingId = order_.listingId;
        Listing storage listing_ = listings[listingId];
        require(keccak256(abi.encode(key)) != listing_.keyCommit, KeyIsRight());
        uint256 share = order_.share;
        order_.share = 0;
        emit Complained(orderId, listingId, share);
        finish(orderId, REFUNDED);
        if (share > 0) ledger.move(listing_.token, listingId, Accounts.user(msg.sender), share);
    }

    function cancel(bytes32 orderId) external {
        Order storage order_ = orders[orderId];
        requireState(order_, NEW);
        require(block.timestamp >= order_.at + cancelDelay, TooEarly());
        require(block.timestamp < order_.at + deliveryWindow, TooLate());
        require(msg.sender == order_.buyer, NotBuyer());
        emit Cancelled(orderId, order_.listingId);
        finish(orderId, REFUNDED);
    }

    // ---- Anybody.

    /// @notice What time decides: a late seller loses the sale, a silent buyer has accepted the key.
    function tick(bytes32 orderId) external {
        Order storage order_ = orders[orderId];
        uint8 state = order_.state;
        require(state == NEW || state == DELIVERED, WrongState(state));
        uint256 window = state == NEW ? deliveryWindow : complaintWindow;
        require(block.timestamp >= order_.at + window, TooEarly());
        finish(orderId, state == NEW ? REFUNDED : PAID);
    }

    function listing(bytes32 listingId) external view returns (Listing memory) {
        return listings[listingId];
    }

    function order(bytes32 orderId) external view returns (Order memory) {
        return orders[orderId];
    }

    // ---- Money.

    /// @dev What the order had reserved of the bond backs the next one, or returns to a seller who sells no more.
    function finish(bytes32 orderId, uint8 state) private {
        Order storage order_ = orders[orderId];
        bytes32 listingId = order_.listingId;
        Listing storage listing_ = listings[listingId];
        (address buyer, address seller, uint256 price) = (order_.buyer, listing_.seller, order_.price);
        uint128 share = order_.share;
        order_.state = state;
        order_.share = 0;
        bool kept = listing_.active;
        if (kept) listing_.bond += share;
        if (state == PAID) emit Paid(orderId, listingId, seller, price);
        else emit Refunded(orderId, listingId, buyer, price);
        ledger.move(listing_.token, orderId, Accounts.user(state == PAID ? seller : buyer), price);
        if (!kept && share > 0) returnBond(listing_, listingId, share);
    }

    function returnBond(Listing storage listing_, bytes32 listingId, uint256 amount) private {
        emit BondReturned(listingId, amount);
        ledger.move(listing_.token, listingId, Accounts.user(listing_.seller), amount);
    }

    // ---- Checks.

    function checkTerms(ListingTerms calldata terms) private view {
        require(terms.kind == DATA || terms.kind == MODEL, BadListingKind());
        require(terms.contentRoot != 0, BadContent());
        uint256 length = bytes(terms.cid).length;
        require(length > 0 && length <= MAX_CID, BadCid());
        require(terms.meta.length <= MAX_META, MetaTooLong());
        bool free = terms.price == 0;
        require(free == (terms.keyCommit == 0), BadListingPrice());
        require(!free || terms.bond == 0, BadBond());
        require(free || terms.token.code.length > 0, NotToken());
    }

    /// @dev Binds everything but the price, which buyers limit themselves: a reorganisation cannot give the id another
    /// token or another key.
    function idOf(ListingTerms calldata terms, bytes32 cidHash, uint256 nonce) private view returns (bytes32) {
        bytes32 rest = keccak256(
            abi.encode(terms.kind, terms.licence, terms.token, terms.bond, terms.keyCommit, terms.aux)
        );
        return keccak256(
            abi.encode(
                LISTING_TAG, block.chainid, address(this), msg.sender, nonce, cidHash, terms.contentRoot, rest
            )
        );
    }

    function ownListing(bytes32 listingId) private view returns (Listing storage listing_) {
        listing_ = listings[listingId];
        require(listing_.active, NotActive());
        require(msg.sender == listing_.seller, NotSeller());
    }

    function requireState(Order storage order_, uint8 expected) private view {
        uint8 state = order_.state;
        require(state == expected, WrongState(state));
    }
}

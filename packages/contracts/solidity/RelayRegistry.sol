// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Relays that nodes may connect to, by the key of the relay.
/// @notice A relay announces where it listens, for a limited time, under the address of its node key: the PeerId of that
/// key ends every address, so an entry cannot name another node. A deposit of ether is locked while an entry is listed
/// and returns to the relay in full; it bounds how many entries somebody can keep at once. No owner, no fee.
contract RelayRegistry {
    /// @notice What a node needs to dial a relay.
    struct Entry {
        address relay;
        uint40 expiry; // from this second on the entry counts no more
        bool odd; // y of the public key is odd
        bytes32 x; // x of the public key
        string multiaddrs; // separated by spaces, each without the PeerId
    }

    struct Stored {
        uint40 expiry;
        uint32 place; // in `listed`, from 1; 0: not listed
        bool odd;
        bytes32 x;
        string multiaddrs;
    }

    /// @notice Locked while an entry is listed.
    uint256 public constant DEPOSIT = 0.01 ether;
    uint256 public constant MAX_LIFETIME = 7 days;
    uint256 public constant MAX_BYTES = 256;

    mapping(address relay => Stored) private entries;
    /// @notice Ether of a relay that is in this contract; it leaves by `withdraw` alone.
    mapping(address relay => uint256) public deposits;
    address[] private listed;

    event Announced(address indexed relay, uint256 expiry, string multiaddrs);
    event Renewed(address indexed relay, uint256 expiry);
    event Removed(address indexed relay);
    event DepositReturned(address indexed relay, uint256 amount);

    error BadRelayKey();
    error BadMultiaddrs();
    error BadLifetime();
    error BadDeposit(uint256 needed);
    error NotListed();
    error NotExpired(uint256 expiry);
    error NoDeposit();
    error RefundFailed();

    /// @notice Lists the sender, or changes its entry. The deposit comes with the first call; it stays when an entry
    /// expires, and backs the next one.
    /// @param publicKey uncompressed secp256k1 key of the sender without the leading 0x04
    /// @param multiaddrs where the relay listens: multiaddrs without the PeerId, separated by spaces
    /// @param lifetime seconds from now on
    function announce(bytes calldata publicKey, string calldata multiaddrs, uint256 lifetime) external payable {
        require(publicKey.length == 64 && address(uint160(uint256(keccak256(publicKey)))) == msg.sender, BadRelayKey());
        uint256 length = bytes(multiaddrs).length;
        require(length > 0 && length <= MAX_BYTES, BadMultiaddrs());
        uint40 expiry = expiryAfter(lifetime);
        uint256 needed = DEPOSIT - deposits[msg.sender];
        require(msg.value == needed, BadDeposit(needed));
        deposits[msg.sender] = DEPOSIT;
        Stored storage entry_ = entries[msg.sender];
        if (entry_.place == 0) {
            listed.push(msg.sender);
            entry_.place = uint32(listed.length);
        }
        entry_.expiry = expiry;
        entry_.odd = uint8(publicKey[63]) % 2 == 1;
        entry_.x = bytes32(publicKey[:32]);
        entry_.multiaddrs = multiaddrs;
        emit Announced(msg.sender, expiry, multiaddrs);
    }

    /// @notice Moves the end of the sender's entry, also of one that has expired.
    function renew(uint256 lifetime) external {
        Stored storage entry_ = entries[msg.sender];
        require(entry_.place != 0, NotListed());
        uint40 expiry = expiryAfter(lifetime);
        entry_.expiry = expiry;
        emit Renewed(msg.sender, expiry);
    }

    /// @notice Ends the sender's entry, if there still is one, and returns the deposit.
    function withdraw() external {
        uint256 amount = deposits[msg.sender];
        require(amount > 0, NoDeposit());
        deposits[msg.sender] = 0;
        if (entries[msg.sender].place != 0) remove(msg.sender);
        emit DepositReturned(msg.sender, amount);
        (bool ok,) = msg.sender.call{value: amount}("");
        require(ok, RefundFailed());
    }

    /// @notice Takes an expired entry off the list; anybody may. The deposit waits for its relay.
    function prune(address relay) external {
        Stored storage entry_ = entries[relay];
        require(entry_.place != 0, NotListed());
        require(block.timestamp >= entry_.expiry, NotExpired(entry_.expiry));
        remove(relay);
    }

    /// @notice Number of entries, expired ones that nobody has pruned included.
    function count() external view returns (uint256) {
        return listed.length;
    }

    /// @notice At most `size` entries from place `from` (0 is the first); fewer at the end of the list. Removing an entry
    /// moves the last one into its place.
    function page(uint256 from, uint256 size) external view returns (Entry[] memory entries_) {
        uint256 length = listed.length;
        uint256 left = from < length ? length - from : 0;
        if (left < size) size = left;
        entries_ = new Entry[](size);
        for (uint256 i = 0; i < size; ++i) entries_[i] = entryOf(listed[from + i]);
    }

    /// @notice The entry of a relay; all zero when it is not listed.
    function entry(address relay) external view returns (Entry memory) {
        return entryOf(relay);
    }

    function expiryAfter(uint256 lifetime) private view returns (uint40) {
        require(lifetime > 0 && lifetime <= MAX_LIFETIME, BadLifetime());
        return uint40(block.timestamp + lifetime);
    }

    function remove(address relay) private {
        uint32 place = entries[relay].place;
        address last = listed[listed.length - 1];
        listed[place - 1] = last;
        entries[last].place = place;
        listed.pop();
        delete entries[relay];
        emit Removed(relay);
    }

    function entryOf(address relay) private view returns (Entry memory) {
        Stored storage stored = entries[relay];
        if (stored.place == 0) return Entry(address(0), 0, false, 0, "");
        return Entry(relay, stored.expiry, stored.odd, stored.x, stored.multiaddrs);
    }
}

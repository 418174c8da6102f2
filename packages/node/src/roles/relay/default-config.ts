/** What `skynet relay --print-config` writes: every key, with its default or an example. */
export const DEFAULT_CONFIG = `# Configuration of a SkyNet relay: npx skynet relay --config relay.yaml
# Every key may be left out. Flags of the command line win over this file. File names are relative to it.
# Times need a unit (500ms, 30s, 10m, 2h, 7d), sizes too (64KiB, 512MiB, 10GiB).

# The relay's key (npx skynet wallet new --keystore relay.json) and the file with its passphrase (mode 0600).
# keystore: relay.json
# passphraseFile: relay.passphrase

# Folder for history, address book and log; keep it, and the relay goes on where it was.
# data: ./data

# Where to listen. The default is the loopback interface: nobody else can connect.
# A public relay opens TCP, QUIC (UDP) and secure WebSockets, which browsers need:
# listen:
#   - /ip4/0.0.0.0/tcp/60000
#   - /ip4/0.0.0.0/udp/60000/quic-v1
#   - /ip4/0.0.0.0/tcp/60001/wss
listen:
  - /ip4/127.0.0.1/tcp/0

# What others are told instead, if the machine does not know its public address (port forwarding, reverse proxy).
# announce:
#   - /dns4/relay.example.org/tcp/60000
#   - /dns4/relay.example.org/tcp/443/wss

# Have the router forward the ports (UPnP), where the relay listens on an address of a private network. What it forwards
# is announced when another relay has been able to connect.
upnp: true

# Other relays to stay connected to.
# relays:
#   - /dns4/relay.example.net/tcp/60000/p2p/16Uiu2HAm...

# A signed list of relays (a file or an https URL), and the address of the key that signs it.
# bootstrap: https://example.org/relays.json#0x7e5f4552091a69125d5dfcb7b8c2659029395bdf

# A chain: other relays are found on its list. With register this one is on the list while it runs, so that nodes find
# it (locks 0.01 ether).
# rpc: https://rpc.example.org
register: false

# Certificate of secure WebSockets (listen addresses with /wss). Renewals are noticed; open connections stay.
# tls:
#   cert: /etc/letsencrypt/live/relay.example.org/fullchain.pem
#   key: /etc/letsencrypt/live/relay.example.org/privkey.pem

# Prometheus metrics and health (/metrics, /healthz, /readyz), or off. Keep it on the loopback interface.
metrics: off

log:
  level: info # debug, info, warn, error
  to: file # file: in the data folder; stderr: for journald and containers

# The history that nodes fetch what they missed from. The oldest messages make room.
store:
  kind: disk # or memory
  maxAge: 7d
  maxSize: 1GiB

# Waku's cluster and shard. Relays of another cluster do not talk to this one.
network:
  cluster: 1729
  shard: 0

# What peers may take of this relay; docs/security.md explains them all and the memory they add up to.
limits:
  connections: 1024
  connectionsPerAddress: 64
  connectionsPerPeer: 8
  messagesPerSecond: 500 # of one peer
  bytesPerSecond: 1MiB # of one peer
  messagesPerSecondOfAll: 2000
  bytesPerSecondOfAll: 8MiB

# How often one peer may use each of the services, and how many light nodes messages are pushed to.
services:
  store: { perSecond: 20, burst: 100 }
  filter: { perSecond: 10, burst: 100 }
  lightPush: { perSecond: 50, burst: 200 }
  metadata: { perSecond: 1, burst: 20 }
  peerExchange: { perSecond: 1, burst: 20 }
  filterPeers: 1000
  filterTopicsPerPeer: 200
  filterIdle: 5m

# What nodes that cannot be reached (behind a router) may use this relay for: how many of them, and for each connection
# through it the longest time and the most bytes. This is what costs bandwidth: bytesPerSecond bounds it.
circuits:
  reservations: 1024
  perAddress: 64 # reservations of one IPv4 address or IPv6 /64
  reservationTime: 1h
  data: 1GiB
  time: 10m
  perNode: 256 # connections that one node or address opens through it
  open: 1024 # of all
  bytesPerSecond: 128MiB # of all, in both directions; above it they are slowed down

# UDP port of STUN, with which nodes behind NATs find a direct way to each other, or off. Default: 3478 on the host of the
# first listen address; a free port if all are of the loopback interface. The next port is served too (3479).
# stun: 3478

# Longest time that a stop (SIGTERM, SIGINT) waits for what is going on.
shutdown: 10s

# Pay the gas of workers without ether, from the relay's key; needs rpc.
# sponsor:
#   jobs: [] # only these jobs; empty: all
#   dayMgas: 200
#   workerMgas: 40
`;

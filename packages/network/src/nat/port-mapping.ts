/** A port that this node listens on. */
export interface ListeningPort {
  readonly protocol: "TCP" | "UDP";
  readonly host: string;
  readonly port: number;
}

/** A port that a router forwards. */
export interface PortMapping {
  readonly protocol: "TCP" | "UDP";
  readonly externalPort: number;
  readonly internalPort: number;
  readonly internalHost: string;
  /** How long the router keeps it, seconds; 0 for ever. */
  readonly leaseSeconds: number;
}

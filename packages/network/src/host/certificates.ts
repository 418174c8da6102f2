import type { Libp2pEvents, TypedEventTarget } from "@libp2p/interface";

/** A certificate chain and its private key, in PEM. */
export interface TlsCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Gives the listeners of secure WebSockets their certificate, and another one later; open connections stay. */
export interface Certificates {
  use(certificate: TlsCertificate): void;
}

/** libp2p's listeners take a certificate by the event that its own certificate service sends. */
export const certificates = ({ events }: { events: TypedEventTarget<Libp2pEvents> }): Certificates => ({
  use: ({ cert, key }) => void events.safeDispatchEvent("certificate:renew", { detail: { cert, key } }),
});

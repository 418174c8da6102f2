// Imported for its effect: an offering RTCPeerConnection of node-datachannel tells its candidates only when it has the
// answer. Between nodes on one machine or network the other side's checks are there before the answer: then
// libdatachannel connects while it still stores the answer, finds no fingerprint to compare the certificate with, and
// closes the connection ("certificate verify failed"), which libp2p does not notice. About one dial in ten was lost.
import { RTCPeerConnection } from "node-datachannel/polyfill";

const { prototype } = RTCPeerConnection;
const { dispatchEvent, setRemoteDescription } = prototype;
const held = new WeakMap<RTCPeerConnection, Event[]>();

prototype.dispatchEvent = function hold(this: RTCPeerConnection, event: Event): boolean {
  if (event.type !== "icecandidate" || this.signalingState !== "have-local-offer")
    return dispatchEvent.call(this, event);
  const events = held.get(this) ?? [];
  held.set(this, events);
  events.push(event);
  return true;
};

prototype.setRemoteDescription = async function release(this: RTCPeerConnection, description): Promise<void> {
  await setRemoteDescription.call(this, description);
  for (const event of held.get(this) ?? []) dispatchEvent.call(this, event);
  held.delete(this);
};

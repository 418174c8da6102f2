/** What the native QUIC library (quinn) gives for a stream; the package has no types for it. */
export interface NativeStream {
  id(): string;
  /** Next bytes, or nothing at the end. Rejects when the peer has reset the stream or the connection is gone. */
  read(maxBytes: number): Promise<Uint8Array | null | undefined>;
  /** Resolves when the bytes are within the peer's window. */
  write(bytes: Uint8Array): Promise<void>;
  finishWrite(): Promise<void>;
  resetWrite(): Promise<void> | void;
  stopRead(): Promise<void> | void;
}

export interface NativeConnection {
  inboundStream(): Promise<NativeStream>;
  outboundStream(): Promise<NativeStream>;
}

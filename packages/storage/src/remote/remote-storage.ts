/** Where a service stands with an object: `queued` and `pinning` may still change. */
export type RemoteStatus = "queued" | "pinning" | "pinned" | "failed";

/** An object that a service keeps for us. */
export interface RemoteObject {
  /** The service's own id, with which it is removed. */
  readonly id: string;
  readonly cid: string;
  readonly name: string;
  /** Undefined when the service does not say. */
  readonly bytes: number | undefined;
  readonly status: RemoteStatus;
  /** Milliseconds since the epoch. */
  readonly createdMs: number | undefined;
}

export interface PinRequest {
  readonly cid: string;
  readonly name?: string | undefined;
  /** Multiaddrs of nodes that have the content, each with its /p2p/ part. */
  readonly origins?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** What every storage service can do. */
export interface RemoteStorage {
  readonly name: "lighthouse" | "pinning";
  /** Everything that it keeps, the newest first, page by page. */
  list(options?: { readonly signal?: AbortSignal | undefined }): AsyncGenerator<RemoteObject>;
  /** Has it fetch a CID from the network, and keep it. */
  pin(request: PinRequest): Promise<RemoteObject>;
  remove(id: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

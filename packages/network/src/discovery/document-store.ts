/** Keeps one small document between starts. */
export interface DocumentStore {
  /** The document, or undefined when there is none. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces it, whole or not at all. */
  write(bytes: Uint8Array): Promise<void>;
  /** Moves a damaged document out of the way. @returns where it is now */
  setAside(): Promise<string>;
}

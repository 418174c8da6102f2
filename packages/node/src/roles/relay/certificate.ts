import { createPrivateKey, X509Certificate } from "node:crypto";
import { watch } from "node:fs";
import path from "node:path";
import type { Log } from "@skynet/swarm";
import { FileError, readInputFile } from "../../runtime/files.ts";
import { checkSecretFile } from "../../runtime/secret-files.ts";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A certificate chain and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Names that it is for. */
  readonly names: string;
  /** Milliseconds since the epoch. */
  readonly endMs: number;
}

/**
 * Reads and checks a certificate: the key fits, and it has not ended.
 * @throws FileError `FileNotFound`, `BadCertificate`, `UnsafePermissions`
 */
export async function readCertificate(files: CertificateFiles, nowMs: number): Promise<Certificate> {
  const text = new TextDecoder();
  const cert = text.decode(await readInputFile(files.cert, "the TLS certificate"));
  await checkSecretFile(files.key);
  const key = text.decode(await readInputFile(files.key, "the TLS key"));
  const bad = (what: string, hint: string, cause?: unknown) => new FileError("BadCertificate", what, { cause, hint });
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (cause) {
    throw bad(
      `${files.cert} is not a certificate in PEM`,
      "give the full chain (fullchain.pem), the own one first",
      cause,
    );
  }
  let fits = false;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw bad(
      `${files.key} is not a private key in PEM without a passphrase`,
      "give the key of the certificate",
      cause,
    );
  }
  if (!fits) throw bad(`${files.key} is not the key of ${files.cert}`, "name the two files of one certificate");
  const endMs = Date.parse(leaf.validTo);
  if (endMs <= nowMs) throw bad(`the certificate in ${files.cert} ended on ${leaf.validTo}`, "renew it");
  return { cert, key, names: leaf.subjectAltName ?? leaf.subject, endMs };
}

/** Renewals write several files; so long after the last write they are read. */
const SETTLE_MS = 500;

/** Keeps a certificate up to date with its files. */
export interface CertificateKeeper {
  current(): Certificate;
  /** Hands over the certificate now, and whenever it has changed. */
  use(taker: (certificate: Certificate) => void): void;
  /** Reads the files again. @throws as {@link readCertificate}; the old certificate stays in use then */
  reload(): Promise<void>;
  close(): void;
}

/**
 * Reads a certificate and watches its files: renewals are taken without a restart.
 * @throws as {@link readCertificate}
 */
export async function keepCertificate(files: CertificateFiles, log: Log): Promise<CertificateKeeper> {
  let certificate = await readCertificate(files, Date.now());
  let taker: ((certificate: Certificate) => void) | undefined;
  const reload = async () => {
    const next = await readCertificate(files, Date.now());
    if (next.cert === certificate.cert && next.key === certificate.key) return;
    certificate = next;
    taker?.(certificate);
    const { names, endMs } = certificate;
    log.info({ names, end: new Date(endMs).toISOString() }, "a new certificate is in use");
  };
  const endWatch = watchFolders(files, () => {
    reload().catch((error: unknown) => log.warn({ error: String(error) }, "the new certificate cannot be used"));
  });
  return {
    current: () => certificate,
    use: (next) => {
      taker = next;
      next(certificate);
    },
    reload,
    close: endWatch,
  };
}

/** Watches the folders, because renewals put other files, or links, in the place of the old ones. */
function watchFolders({ cert, key }: CertificateFiles, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  };
  const watchers = [...new Set([path.dirname(cert), path.dirname(key)])].map((folder) => watch(folder, soon));
  for (const watcher of watchers) watcher.on("error", () => watcher.close());
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}

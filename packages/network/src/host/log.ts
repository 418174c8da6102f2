/** Where a host writes what it does; pino and console fit. */
export interface Log {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

const ignore = () => undefined;

export const silent: Log = { debug: ignore, info: ignore, warn: ignore };

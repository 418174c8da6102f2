/**
 * Base of every error that SkyNet raises on purpose. `code` is stable and meant for programs; `message` says what is
 * wrong; `hint` says what to do next.
 */
export class SkyNetError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
  }
}

/** A value from outside (file, flag, message, contract) does not have the form that it must have. */
export class InvalidInputError extends SkyNetError {}

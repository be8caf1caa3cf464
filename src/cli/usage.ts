/** The command line is wrong; nothing was done. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A part of the command line as a message may repeat it: one that is no plain word may be an address, a password or a cookie. */
export function repeated(given: string, otherwise: string, word = JSON.stringify(given)): string {
  return /^[a-z][a-z-]{0,19}$/.test(given) ? word : otherwise
}

import type { SessionId } from '../ids.ts'

/** So much of an id tells it from others, and finds nothing. */
const EXCERPT = 8

/** What is printed of an id. */
export function excerptOf(id: SessionId): string {
  return `${id.slice(0, EXCERPT)}…`
}

/** A message of somebody else's, such as a driver's, without the secrets that are known and whatever looks like one. */
export type Censor = (text: string) => string

export function censorOf(secrets: readonly string[]): Censor {
  // The longest first: one may be part of another.
  const known = [...new Set(secrets)].filter(secret => secret !== '').sort((a, b) => b.length - a.length)
  return text => {
    const censored = known.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
    return censored
      .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1***@')
      .replace(/[0-9a-f]{40,}/gi, word => excerptOf(word))
  }
}

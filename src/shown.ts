import { inspect } from 'node:util'

const LONGEST = 60

/** A value as messages show it, shortened. Not by JSON, which has no NaN and no Infinity, and refuses a `bigint`. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: LONGEST })
  return text.length > 2 * LONGEST ? `${text.slice(0, 2 * LONGEST)}…` : text
}

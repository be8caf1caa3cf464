import parse from 'parse-duration'
import { ConfigurationError } from './errors.ts'
import { shown } from './shown.ts'

/** A longer duration could exceed the range of dates. */
const CENTURY = 100 * 366 * 24 * 60 * 60 * 1000

const words = /^(?:\d+(?:\.\d+)?\s*[a-z]+[\s,]*)+$/i
const word = /\d+(?:\.\d+)?\s*[a-z]+/gi

/** Reads the duration called `name`: milliseconds, or words such as `'14 days'` and `'1h 30m'`. */
export function milliseconds(name: string, duration: number | string): number {
  const ms = typeof duration === 'string' ? spoken(duration.trim()) : duration
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 1 || ms > CENTURY) {
    throw new ConfigurationError(
      `${name} is not a positive duration: ${shown(duration)}; ` +
        "give milliseconds or words such as '14 days', '1 month' or '2h'",
    )
  }
  return Math.round(ms)
}

/** As `milliseconds`, for a timer of Node.js: it takes at most 2³¹ - 1. */
export function timerMilliseconds(name: string, duration: number | string): number {
  const ms = milliseconds(name, duration)
  if (ms < 2 ** 31) return ms
  throw new ConfigurationError(`${name} is too long: ${shown(duration)}; a timer runs for at most 24 days`)
}

/** Word by word, because `parse-duration` ignores words that it does not know: '3 bananas 2 days' is not two days. */
function spoken(text: string): number {
  if (!words.test(text)) return Number.NaN
  return (text.match(word) ?? []).reduce((sum, part) => sum + (parse(part) ?? Number.NaN), 0)
}

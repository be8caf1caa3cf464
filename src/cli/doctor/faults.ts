import type { Fault } from './finding.ts'

// What is looked at in every store, and told in the same words.

/** How long what has expired may stay before nobody seems to remove it, milliseconds. */
export const GRACE = 10 * 60_000

/** Milliseconds by which clocks may differ. */
export const MAX_SKEW = 1000

/** Of a server's clock, asked for between two instants of this machine's. */
export function clockFound(
  server: number,
  before: number,
  after: number,
  meaning: string,
): readonly Fault[] | string {
  const skew = server - (before + after) / 2
  if (Math.abs(skew) <= MAX_SKEW + (after - before) / 2) return 'The clocks agree'
  const seconds = (Math.abs(skew) / 1000).toFixed(1)
  return [
    {
      severity: Math.abs(skew) > 60 * MAX_SKEW ? 'error' : 'warning',
      message: `The store's clock is ${seconds} s ${skew > 0 ? 'ahead of' : 'behind'} this machine's. ${meaning}`,
      advice: 'Let both follow one time server (NTP)',
    },
  ]
}

export function expiredFound(
  count: number,
  oldest: Date | undefined,
  why: string,
): readonly Fault[] | string {
  if (count === 0) return 'Expired sessions are removed in time'
  const since = oldest === undefined ? '' : `, the oldest since ${oldest.toISOString()}`
  return [
    {
      severity: 'warning',
      message: `Expired sessions that are still stored: ${count}${since}. They take room, and nobody can use them`,
      advice: `${why} \`koa-atomic-session sweep\` removes them now`,
    },
  ]
}

/** What is not as this version writes it. */
export function recordFaults(
  { others, unknown, broken }: { others: number; unknown: number; broken: number },
  what: string,
  where: string,
): Fault[] {
  const faults: Fault[] = []
  if (others > 0) {
    faults.push({
      severity: 'warning',
      message: `${what} in ${where} that are no sessions of this library: ${others}`,
      advice: `Keep sessions apart from other data, and move or remove these. Sessions that version 1.0.0 stored are among them, if the app had it`,
    })
  }
  if (unknown > 0) {
    faults.push({
      severity: 'error',
      message: `${what} in ${where} with the mark of a version that this one does not know: ${unknown}. Their visitors are not signed in`,
      advice: 'Run one version of koa-atomic-session in all processes, the newest that has written here',
    })
  }
  if (broken > 0) {
    faults.push({
      severity: 'warning',
      message: `${what} in ${where} that somebody else has altered, so that a part is missing or of another type: ${broken}`,
      advice: `End these sessions: remove them. Change sessions by the library only`,
    })
  }
  return faults
}

import { LAST_DATE } from '../../store/record.ts'
import type { Parameter } from './driver.ts'

/**
 * The parameters of a statement as it is put together. Each is given as text, or as bytes, and made into what it is by the
 * server: what clients make of other values differs.
 */
export class Parameters {
  readonly values: Parameter[] = []

  text(value: string | null): string {
    this.values.push(value)
    return `$${this.values.length}::text`
  }

  integer(value: number): string {
    return `${this.text(String(value))}::bigint`
  }

  json(json: string): string {
    return `${this.text(json)}::jsonb`
  }

  /** Of an instant; also one that lies beyond what PostgreSQL reads as a date. */
  time(time: Date | number | undefined): string {
    return `to_timestamp(${this.text(time === undefined ? null : String(Number(time)))}::float8 / 1000)`
  }

  texts(values: readonly string[]): string {
    return `${this.text(arrayOf(values))}::text[]`
  }

  integers(values: readonly number[]): string {
    return `${this.text(`{${values.join(',')}}`)}::integer[]`
  }

  bytes(value: Uint8Array): string {
    this.values.push(value)
    return `$${this.values.length}::bytea`
  }
}

/** As PostgreSQL writes arrays; clients do it in different ways. */
function arrayOf(values: readonly string[]): string {
  return `{${values.map(value => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

/** Milliseconds since 1970. */
export function milliseconds(expression: string): string {
  return `(extract(epoch FROM ${expression}) * 1000)::bigint::text`
}

/** Not the time at which the statement began: it may have waited for another one since. */
export const NOW = 'clock_timestamp()'

const FIRST = 'to_timestamp(0)'
const LAST = `to_timestamp(${LAST_DATE / 1000})`

/**
 * Only another program writes a row without this, such as one with `infinity`, or with fields that are no object. It is no session
 * for any statement: nothing can be calculated with it.
 */
export const SOUND =
  `s.expires <= ${LAST} AND s.created BETWEEN ${FIRST} AND ${LAST} AND coalesce(s.absolute BETWEEN ${FIRST} AND ${LAST}, true) ` +
  `AND coalesce(s.ended BETWEEN ${FIRST} AND ${LAST}, true) AND s.max_age BETWEEN 0 AND ${LAST_DATE} ` +
  `AND s.rev BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER} AND s.size <= ${Number.MAX_SAFE_INTEGER} ` +
  "AND jsonb_typeof(s.small) = 'object' AND jsonb_typeof(s.large) = 'object'"

/** The JSON of an object. */
export function objectOf(members: Iterable<readonly [name: string, json: string]>): string {
  return `{${Array.from(members, ([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}

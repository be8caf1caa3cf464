import type { SessionId } from '../../ids.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { type Standing, sizeOfFields } from '../fields.ts'
import type { Row } from './driver.ts'
import type { Names } from './names.ts'
import { bytesIn, fieldColumns, STATE, standing, type Wanted } from './select.ts'
import { milliseconds, NOW, Parameters } from './statement.ts'
import type { Statement } from './update.ts'

/** Asks for a session with the wanted fields, as changes need it. */
export function look(names: Names, id: SessionId, wanted: Wanted): Statement {
  const parameters = new Parameters()
  const key = parameters.text(id)
  const columns = [
    ...STATE,
    's.size::text',
    milliseconds('s.expires'),
    's.max_age::text',
    's.user_key',
    milliseconds(NOW),
    ...fieldColumns(names, wanted, parameters),
  ]
  return { sql: standing(columns, names, key), parameters }
}

/** Columns before those of the fields. */
const BEFORE_FIELDS = STATE.length + 5

export interface Seen {
  readonly standing: Standing
  readonly userKey: string | null
  /** The server's clock, milliseconds since the epoch. */
  readonly now: number
}

/** The session with the fields of these names; its size is exact where all fields were asked for. */
export function seenIn(row: Row, wanted: Wanted, names: readonly string[]): Seen {
  const [rev, , size, expires, maxAge, userKey = null, now] = row
  const all = bytesIn(row, BEFORE_FIELDS, wanted)
  const fields = new Map(
    names.map(name => [name, Object.hasOwn(all, name) ? { bytes: all[name] as Uint8Array } : undefined]),
  )
  return {
    standing: {
      rev: Number(rev),
      ...(wanted === 'all'
        ? { size: sizeOfFields(Object.entries(all)) }
        : { size: Number(size), isSizeBound: true }),
      expires: Number(expires),
      maxAge: Number(maxAge),
      fields,
    },
    userKey,
    now: Number(now),
  }
}

/** The field that a path is in. */
export function topOf(path: Path): string {
  return partsOf(path)[0] as string
}

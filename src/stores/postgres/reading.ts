import type { SessionId } from '../../ids.ts'
import type { Path } from '../../language/paths.ts'
import type { Loaded, Read } from '../../store/joining.ts'
import type { Connection } from './connection.ts'
import { noneOfDamaged } from './errors.ts'
import type { Names } from './names.ts'
import { load, loadedIn, read, readIn } from './records.ts'

/** `load` of one session alone: a damaged one is absent. */
export async function loadOne(connection: Connection, names: Names, id: SessionId): Promise<Loaded> {
  const { sql, parameters } = load(names, id)
  const [row] = await connection.query(sql, parameters.values, 'none').catch(noneOfDamaged)
  return loadedIn(id, row)
}

/** `read` of one session alone. */
export async function readOne(
  connection: Connection,
  names: Names,
  id: SessionId,
  paths: readonly Path[],
): Promise<Read> {
  const { sql, parameters } = read(names, id, paths)
  const [row] = await connection.query(sql, parameters.values, 'none').catch(noneOfDamaged)
  return readIn(row, paths)
}

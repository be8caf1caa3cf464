import { describe } from 'node:test'
import type { SessionId } from '../../../src/ids.ts'
import type { SQLValue } from '../../../src/stores/sqlite/driver.ts'
import { damage } from '../../contract/damage.ts'
import { aPath, aStore, theDatabase } from '../../support/sqlite/files.ts'

/** What is put in the place of numbers: 9e999 is infinity, and the last but one a number that JavaScript does not have. */
const values = ["'text'", "x'01'", '-1', '1e300', '9e999', '9223372036854775807', '9007199254740993']

const columns = ['created', 'expires', 'absolute', 'maxAge', 'rev']

const junk = ['junk', '', 'x'.repeat(500), '\x01'.repeat(2 ** 20)].map(text => Buffer.from(text))

describe('a damaged record makes one visitor anonymous and harms nobody else', () =>
  damage(async t => {
    const path = aPath(t)
    const store = aStore(t, path)
    const db = theDatabase(t, path)
    const set = (name: string, value: SQLValue) => async (id: SessionId) =>
      db.prepare(`UPDATE sessions SET ${name} = ? WHERE id = ?`).run(value, id)
    const put = (assignment: string) => async (id: SessionId) =>
      db.prepare(`UPDATE sessions SET ${assignment} WHERE id = ?`).run(id)
    const numbers = columns.flatMap(name => values.map(value => `${name} = ${value}`))
    return {
      store,
      ofSession: Object.fromEntries(
        [...numbers, "fields = 'text'", 'fields = NULL', 'fields = 7'].map(one => [one, put(one)]),
      ),
      ofNote: {
        ...Object.fromEntries(junk.map((bytes, index) => [`junk ${index}`, set('fields', bytes)])),
        'fields that are cut off': put('fields = substr(fields, 1, length(fields) - 1)'),
        'a type that does not exist': put("fields = replace(fields, x'02' || 'note', x'7a' || 'note')"),
      },
    }
  }))

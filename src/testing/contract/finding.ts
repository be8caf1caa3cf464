import assert from 'node:assert/strict'
import type { Operation } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
import type { SessionRecord } from '../../store/record.ts'
import type { Store } from '../../store/store.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import { aChange, aSecondAgo, aSession, inAnHour, recordOf, set, unset } from './records.ts'

type Finding = Required<Pick<Store, 'find'>>

async function found(store: Finding, path: string, value: unknown): Promise<SessionRecord[]> {
  const records: SessionRecord[] = []
  for await (const record of store.find(path, value)) records.push(record)
  return byId(records)
}

function byId(records: SessionRecord[]): SessionRecord[] {
  return records.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

const rename = (path: string, to: string): Operation => ({ op: '$rename', path, to })

/** How a session gets another user than `'ada'`, or none. */
const moves: [path: string, title: string, Fields, Operation, user: string | undefined][] = [
  ['user', 'set', { user: 'ada' }, set('user', 'eve'), 'eve'],
  ['user', 'unset', { user: 'ada' }, unset('user'), undefined],
  ['user', 'rename', { user: 'ada' }, rename('user', 'name'), undefined],
  ['user', 'rename of another', { user: 'ada', name: 'eve' }, rename('name', 'user'), 'eve'],
  ['user', 'max', { user: 'ada' }, { op: '$max', path: 'user', arg: 'eve' }, 'eve'],
  ['a.user', 'set', { a: { user: 'ada' } }, set('a.user', 'eve'), 'eve'],
  ['a.user', 'set of the object above it', { a: { user: 'ada' } }, set('a', { user: 'eve' }), 'eve'],
  ['a.user', 'set of no object above it', { a: { user: 'ada' } }, set('a', 1), undefined],
  ['a.user', 'unset of the object above it', { a: { user: 'ada' } }, unset('a'), undefined],
  ['a.user', 'rename of the object above it', { a: { user: 'ada' } }, rename('a', 'b'), undefined],
  ['a.user', 'rename of another', { a: { user: 'ada' }, b: { user: 'eve' } }, rename('b', 'a'), 'eve'],
]

/** Only for stores with the optional method `find`. */
export function finding(test: Test, { ObjectId }: BSON): void {
  test(
    'all sessions of a user are found, and none of another',
    async store => {
      await store.ensureIndex?.('user')
      const ada = [
        await aSession(store, { user: 'ada', n: 1 }),
        await aSession(store, { user: 'ada' }, { absolute: inAnHour() }),
      ]
      const later = await aSession(store, { user: 'eve' })
      await store.update(later.id, aChange(set('user', 'ada')))
      for (const fields of [{ user: 'eve' }, { user: 'ada2' }, { user: null }, {}, { name: 'ada' }]) {
        await aSession(store, fields)
      }
      assert.deepEqual(await found(store, 'user', 'ada'), byId([...ada, await recordOf(store, later.id)]))
      assert.deepEqual(await found(store, 'user', 'nobody'), [])
    },
    'find',
  )

  for (const [path, title, fields, operation, user] of moves) {
    test(
      `a session is found by the user that it has now, not by an earlier one: ${path}, ${title}`,
      async store => {
        await store.ensureIndex?.(path)
        const { id } = await aSession(store, fields)
        await store.update(id, aChange(operation))
        assert.deepEqual(await found(store, path, 'ada'), [])
        assert.deepEqual(await found(store, path, 'eve'), user === 'eve' ? [await recordOf(store, id)] : [])
        await store.update(id, aChange(path === 'user' ? set('user', 'ada') : set('a', { user: 'ada' })))
        assert.deepEqual(await found(store, path, 'ada'), [await recordOf(store, id)])
        assert.deepEqual(await found(store, path, 'eve'), [])
      },
      'find',
    )
  }

  test(
    'sessions that have ended or expired are not found',
    async store => {
      const { id } = await aSession(store, { user: 'ada' })
      await store.end(id, { ended: new Date() }, inAnHour())
      await aSession(store, { user: 'ada' }, { expires: aSecondAgo() })
      await aSession(store, { user: 'ada' }, { expires: new Date() })
      const deleted = await aSession(store, { user: 'ada' })
      await store.delete(deleted.id)
      assert.deepEqual(await found(store, 'user', 'ada'), [])
    },
    'find',
  )

  test(
    'a user is found by a value of any type, wherever it is',
    async store => {
      const key = '65a000000000000000000001'
      const byKey = await aSession(store, { user: { id: new ObjectId(key) } })
      const byText = await aSession(store, { user: { id: key } })
      const byNumber = await aSession(store, { user: { id: 7 } })
      assert.deepEqual(await found(store, 'user.id', new ObjectId(key)), [byKey])
      assert.deepEqual(await found(store, 'user.id', key), [byText])
      assert.deepEqual(await found(store, 'user.id', 7), [byNumber])
      assert.deepEqual(await found(store, 'user.id', '7'), [])
    },
    'find',
  )

  test(
    'hundreds of sessions of one user are all found',
    async store => {
      const records = await Promise.all(Array.from({ length: 300 }, () => aSession(store, { user: 'ada' })))
      assert.deepEqual(await found(store, 'user', 'ada'), byId(records))
    },
    'find',
  )

  test(
    'altering what was found does not alter the session',
    async store => {
      const record = await aSession(store, { user: 'ada', prefs: { lang: 'en' } })
      for await (const { fields, expires, created } of store.find('user', 'ada')) {
        Object.assign(fields.prefs as object, { lang: 'spoilt' })
        Object.assign(fields, { user: 'eve' })
        for (const date of [expires, created]) date.setTime(0)
      }
      assert.deepEqual(await found(store, 'user', 'ada'), [record])
    },
    'find',
  )
}

import assert from 'node:assert/strict'
import type { SessionRecord } from '../../store/record.ts'
import type { Store } from '../../store/store.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import { aChange, aSecondAgo, aSession, inAnHour, recordOf, set } from './records.ts'

type Finding = Required<Pick<Store, 'find'>>

async function found(store: Finding, path: string, value: unknown): Promise<SessionRecord[]> {
  const records: SessionRecord[] = []
  for await (const record of store.find(path, value)) records.push(record)
  return byId(records)
}

function byId(records: SessionRecord[]): SessionRecord[] {
  return records.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

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

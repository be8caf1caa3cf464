import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectId, UUID } from 'bson'
import { excerptOf } from '../../src/cli/censor.ts'
import { idOf, newSecret } from '../../src/ids.ts'
import { anEndedSession, aSession } from '../contract/records.ts'
import { withoutRedis } from '../support/redis/server.ts'
import { aCluster, onEachKind } from './places.ts'
import { given } from './terminal.ts'

const HOUR = 3_600_000

onEachKind('an operator is told how many sessions there are', async (_t, { store, named }) => {
  await aSession(store)
  await aSession(store)
  await anEndedSession(store)
  const counted = await given(['count', ...named])
  assert.deepEqual([counted.printed, counted.code], ['Sessions: 2', 0])
  const { json } = await given(['count', ...named, '--json'])
  assert.deepEqual({ ...json, store: '' }, { command: 'count', store: '', sessions: 2, expired: 0 })
})

onEachKind('a session is shown without its values', async (_t, { store, named }) => {
  const fields = {
    name: 'Ada Lovelace',
    cart: ['tea', 'cups'],
    seen: new Date(0),
    user_id: new ObjectId(),
    admin: true,
    views: 7,
    nothing: null,
    prefs: { theme: 'dark' },
    bytes: Buffer.from('abc'),
  }
  const { id, created, expires } = await aSession(store, fields)
  const shown = await given(['show', id, ...named])
  assert.equal(shown.code, 0)
  assert.match(shown.printed, /^ {2}name +string \(12\)$/m)
  assert.match(shown.printed, /^ {2}cart +array \(2\)$/m)
  assert.match(shown.printed, /^ {2}user_id +ObjectId$/m)
  assert.doesNotMatch(shown.printed, /Ada|tea|dark|true/)
  assert.ok(!shown.printed.includes(id))
  const { json } = await given(['show', id, ...named, '--json'])
  assert.deepEqual(
    { ...json, store: '', size: 0, fields: Object.entries(json.fields as object).sort() },
    {
      command: 'show',
      store: '',
      id: excerptOf(id),
      state: 'live',
      created: created.toISOString(),
      expires: expires.toISOString(),
      absolute: null,
      maxAge: HOUR,
      revision: 1,
      size: 0,
      fields: [
        ['admin', { type: 'boolean' }],
        ['bytes', { type: 'Binary' }],
        ['cart', { type: 'array', length: 2 }],
        ['name', { type: 'string', length: 12 }],
        ['nothing', { type: 'null' }],
        ['prefs', { type: 'object', length: 1 }],
        ['seen', { type: 'date' }],
        ['user_id', { type: 'ObjectId' }],
        ['views', { type: 'number' }],
      ],
    },
  )
})

onEachKind('a session is shown with its values to whoever asks for them', async (_t, { store, named }) => {
  const user_id = new ObjectId()
  const { id } = await aSession(store, { name: 'Ada', user_id, cart: [{ sku: 'tea' }] })
  const { printed } = await given(['show', id, '--values', ...named])
  assert.match(printed, /^ {2}cart +\[\{"sku":"tea"\}\]$/m)
  const { json } = await given(['show', id, '--values', '--json', ...named])
  assert.deepEqual(json.values, { name: 'Ada', user_id: { $oid: String(user_id) }, cart: [{ sku: 'tea' }] })
})

onEachKind('of an integer all digits are shown', async (_t, { store, named }) => {
  const fields = {
    user_id: 175928847299117063n,
    list: [{ of: -(2n ** 63n) }, 7n, 1e300, 0.5],
    seen: new Date(0),
  }
  const { id } = await aSession(store, fields)
  const { json } = await given(['show', id, '--values', '--json', ...named])
  assert.deepEqual(json.values, {
    user_id: { $numberLong: '175928847299117063' },
    list: [{ of: { $numberLong: '-9223372036854775808' } }, 7, 1e300, 0.5],
    seen: { $date: '1970-01-01T00:00:00Z' },
  })
})

onEachKind('what a visitor has named and stored cannot control the terminal', async (_t, place) => {
  const name = '\x1b]0;owned\x07\x1b[2J\nSession\u202e'
  const { id } = await aSession(place.store, { [name]: '\u009b31m \u202e \u2066 \u061c \x7f', ok: 1 })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is meant
  const controls = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/
  for (const more of [[], ['--values'], ['--json'], ['--values', '--json']]) {
    const { printed } = await given(['show', id, ...place.named, ...more])
    assert.doesNotMatch(printed, controls)
    assert.ok(printed.includes('u001b]0;owned'), printed)
    assert.doesNotMatch(printed, /^Session.?.?$/m)
  }
  const { json } = await given(['show', id, '--values', '--json', ...place.named])
  assert.equal((json.values as Record<string, unknown>)[name], '\u009b31m \u202e \u2066 \u061c \x7f')
})

onEachKind('a session that has ended, and one that there never was, are told apart', async (_t, place) => {
  const { id } = await anEndedSession(place.store)
  const ended = await given(['show', id, ...place.named, '--json'])
  assert.deepEqual([ended.json.state, ended.json.replaced, ended.code], ['ended', false, 1])
  const absent = await given(['show', idOf(newSecret()), ...place.named, '--json'])
  assert.deepEqual([absent.json.state, absent.code], ['absent', 1])
})

onEachKind('a session is ended by its id, and no other', async (_t, { store, named }) => {
  const [one, other] = [await aSession(store), await aSession(store)]
  const ended = await given(['end', one.id, ...named])
  assert.deepEqual([ended.printed, ended.code], ['Sessions ended: 1', 0])
  assert.equal(await store.load(one.id), undefined)
  assert.ok(await store.load(other.id))
  assert.equal((await given(['end', one.id, ...named])).code, 1)
})

onEachKind('all sessions of a user are ended once somebody has said yes', async (_t, { store, named }) => {
  await store.ensureIndex?.('user_id')
  await aSession(store, { user_id: 'ada' })
  await aSession(store, { user_id: 'ada' })
  const other = await aSession(store, { user_id: 'ben' })
  const asked: string[] = []
  const declined = await given(['end', '--user', 'ada', ...named], { answer: false, asked })
  assert.deepEqual([declined.printed, declined.code], ['Nothing was done', 1])
  assert.deepEqual(asked, ['Sessions of this user: 2. End them?'])
  assert.equal(await store.count?.(), 3)
  const ended = await given(['end', '--user', 'ada', ...named], { answer: true })
  assert.deepEqual([ended.printed, ended.code], ['Sessions ended: 2', 0])
  assert.ok(await store.load(other.id))
  assert.equal(await store.count?.(), 1)
  assert.equal((await given(['end', '--user', 'ada', ...named], { answer: true })).code, 1)
})

onEachKind('a user is known by number, ObjectId and UUID too, without being asked', async (_t, place) => {
  const { store, named } = place
  for (const user of [42, new ObjectId(), new UUID()]) {
    await store.ensureIndex?.('owner.id')
    await aSession(store, { owner: { id: user } })
    const args = ['end', '--user', String(user), '--field', 'owner.id', '--yes', '--json', ...named]
    const { json, code } = await given(args)
    assert.deepEqual([json.ended, json.field, code], [1, 'owner.id', 0])
  }
})

onEachKind('a user whose id is a large integer is known by all its digits', async (_t, place) => {
  const { store, named } = place
  await store.ensureIndex?.('user_id')
  // The first is no number, the others are as numbers printed otherwise; the neighbours are other users.
  for (const user of [175928847299117063n, 2n ** 60n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    const near = user > 0n ? user - 1n : user + 1n
    await aSession(store, { user_id: user })
    const other = await aSession(store, { user_id: near })
    const { json } = await given(['end', `--user=${user}`, '--yes', '--json', ...named])
    assert.equal(json.ended, 1, String(user))
    assert.ok(await store.load(other.id), String(user))
  }
  const { json } = await given(['end', `--user=${2n ** 64n}`, '--yes', '--json', ...named])
  assert.equal(json.ended, 0)
})

onEachKind(
  'a user whose id is rounded is known as it is printed, and no other is taken for it',
  async (_t, place) => {
    const { store, named } = place
    await store.ensureIndex?.('user_id')
    const printed = '175928847299117060'
    const rounded = BigInt(Number(printed))
    assert.notEqual(String(rounded), printed)
    await aSession(store, { user_id: Number(printed) })
    await aSession(store, { user_id: BigInt(printed) })
    const other = await aSession(store, { user_id: rounded })
    const { json } = await given(['end', '--user', printed, '--yes', '--json', ...named])
    assert.equal(json.ended, 2)
    assert.ok(await store.load(other.id))
  },
)

onEachKind('whoever names no field is told to, where the store has no index', async (_t, { named }) => {
  const { told, code } = await given(['end', '--user', 'ada', '--yes', ...named])
  assert.match(told, /name the field with --field/)
  assert.equal(code, 2)
})

test('a node of a cluster leads to the whole cluster', { skip: withoutRedis }, async t => {
  const address = await aCluster(t)
  const { json } = await given(['count', address, '--json'])
  assert.equal(json.sessions, 0)
  assert.equal((await given(['end', idOf(newSecret()), address])).code, 1)
})

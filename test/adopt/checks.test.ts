import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as adopters from '../../src/adopt/index.ts'
import { ConfigurationError } from '../../src/index.ts'

const called = async () => undefined
const redis = { get: called, del: called }
const store = { get: called, destroy: called }
const ofExpress = { load: called, destroy: called }

/** Each adopter, with options that are enough. */
const enough = {
  connectMongo: { collection: { findOne: called, deleteOne: called } },
  connectPgSimple: { pool: { query: called } },
  connectRedis: { client: redis },
  expressSession: { secret: 'a secret', ...ofExpress },
  fastifySession: { secret: 'a secret', ...ofExpress },
  koaGenericSession: { store },
  koaRedis: { client: redis },
  koaSession: {},
}

type Name = keyof typeof enough

const factories = new Map<string, unknown>(Object.entries(adopters))

const names = Object.keys(enough) as Name[]

/** Those into whose options a store may be spread. */
const takesStores: readonly Name[] = ['expressSession', 'fastifySession']

function refusal(name: Name, options: unknown): string {
  try {
    const factory = factories.get(name) as (options: unknown) => unknown
    factory(options)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, `${name}: ${error}`)
    return error.message
  }
  return 'none'
}

test('an option that an adopter does not have is refused by its name, before any visitor loses a session', () => {
  assert.deepEqual(names, [...factories.keys()].sort())
  for (const name of names) {
    assert.equal(refusal(name, enough[name]), 'none')
    assert.match(
      refusal(name, { ...enough[name], nope: 1 }),
      takesStores.includes(name)
        ? /^\w+\(\) has no option "nope": if it is a field of a store, .+; there are /
        : /^\w+\(\) has no option "nope"; there are /,
      name,
    )
    for (const wrong of [null, () => {}, 'options', [], new Map()]) {
      assert.match(
        refusal(name, wrong),
        /^\w+\(\) takes options as a plain object, not \w+; there are /,
        name,
      )
    }
  }
  assert.match(refusal('koaSession', { kye: 'my.sess' }), /no option "kye"; did you mean "key"\?/)
  assert.match(refusal('koaSession', { signd: false }), /no option "signd"/)
  for (const name of takesStores) {
    const given = { secret: 'a secret', store: ofExpress }
    assert.match(
      refusal(name, given),
      /no option "store": give its methods, as in \{ secret, \.\.\.connectMongo/,
    )
  }
})

test('keys that anybody could sign with are refused at once, and are not told', () => {
  const secret = 'tr0ub4dor'
  for (const name of ['koaSession', 'koaGenericSession'] as const) {
    const wrong = [
      secret,
      '',
      [],
      [''],
      [undefined],
      [secret, ''],
      [new Uint8Array()],
      { sign: called },
      null,
    ]
    for (const keys of wrong) {
      const message = refusal(name, { ...enough[name], keys })
      assert.match(message, /^\w+: keys is wrong: give the list of the other library's keys/)
      assert.doesNotMatch(message, new RegExp(secret))
    }
    for (const keys of [[secret], [Buffer.from(secret), secret], undefined]) {
      assert.equal(refusal(name, { ...enough[name], keys }), 'none')
    }
  }
})

test('a name that is no text is refused: no session would be found under it', () => {
  const wrong: [Name, option: string][] = [
    ['connectPgSimple', 'schemaName'],
    ['connectPgSimple', 'tableName'],
    ['connectRedis', 'prefix'],
    ['expressSession', 'key'],
    ['fastifySession', 'cookiePrefix'],
    ['koaGenericSession', 'prefix'],
    ['koaSession', 'domain'],
    ['koaSession', 'path'],
  ]
  for (const [name, option] of wrong) {
    assert.equal(
      refusal(name, { ...enough[name], [option]: null }),
      `${name}: ${option} takes a text, not null`,
    )
    assert.equal(
      refusal(name, { ...enough[name], [option]: 5 }),
      `${name}: ${option} takes a text, not number`,
    )
  }
  const prefix = () => 'a method of the store'
  assert.equal(refusal('expressSession', { ...enough.expressSession, prefix }), 'none')
})

test('an adopter without what it needs says what that is', () => {
  const needs: [Name, options: object, needed: string][] = [
    ['connectMongo', {}, 'collection is missing or wrong: it needs findOne() and deleteOne()'],
    ['connectPgSimple', {}, 'pool is missing or wrong: it needs query()'],
    ['connectRedis', {}, 'client is missing or wrong: it needs get() and del()'],
    ['connectRedis', { client: redis, serializer: {} }, 'serializer is missing or wrong: it needs parse()'],
    ['koaRedis', {}, 'client is missing or wrong: it needs get() and del()'],
    ['koaRedis', { client: redis, unserialize: 'JSON' }, "unserialize is not a function: 'JSON'"],
    ['koaGenericSession', {}, 'store is missing or wrong: it needs get() and destroy()'],
    ['koaGenericSession', { store: null }, 'store is missing or wrong: it needs get() and destroy()'],
    ['koaSession', { store: {} }, 'store is missing or wrong: it needs get() and destroy()'],
    ['koaSession', { decode: 5 }, 'decode is not a function: 5'],
    ['expressSession', {}, 'the store is missing or wrong: it needs load() and destroy()'],
    ['expressSession', { ...ofExpress }, 'secret is missing: give the one that express-session was given'],
    ['fastifySession', {}, 'the store is missing or wrong: it needs load() and destroy()'],
  ]
  for (const [name, options, needed] of needs) {
    assert.equal(refusal(name, options), `${name}: ${needed}`)
    if (Object.keys(options).length === 0) assert.equal(refusal(name, undefined), `${name}: ${needed}`)
  }
})

test('a store that is spread into the options of an adopter may have more methods than are used', () => {
  const whole = { ...ofExpress, touch: called, get: called }
  for (const name of takesStores) {
    assert.equal(refusal(name, { secret: 'a secret', ...whole }), 'none')
    assert.match(
      refusal(name, { secret: 'a secret', ...whole, kye: 'my.sid' }),
      /no option "kye"; did you mean "key"/,
    )
  }
})

test('a store with fields of its own, spread into the options of an adopter, is refused with what to write instead', () => {
  const rows = new Map([['an-id', { user: 'ada' }]])
  const ofTheApp = {
    rows,
    async load(id: string) {
      return this.rows.get(id)
    },
    async destroy(id: string) {
      this.rows.delete(id)
    },
  }
  for (const name of takesStores) {
    assert.match(
      refusal(name, { secret: 'a secret', ...ofTheApp }),
      /no option "rows": .* give only two methods, as in \{ secret, load: id => store\.load\(id\), destroy: id => store\.destroy\(id\) \}; there are/,
    )
    const methods = { load: (id: string) => ofTheApp.load(id), destroy: (id: string) => ofTheApp.destroy(id) }
    assert.equal(refusal(name, { secret: 'a secret', ...methods }), 'none')
  }
})

test('an option of an adopter that is undefined has its default', async () => {
  const asked: string[] = []
  const client = { ...redis, get: async (key: string) => void asked.push(key) }
  await adopters.connectRedis({ client, prefix: undefined as never }).load('an-id')
  assert.deepEqual(asked, ['sess:an-id'])
})

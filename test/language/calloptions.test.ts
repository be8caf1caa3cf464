import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { ConfigurationError } from '../../src/errors.ts'
import {
  callOptions,
  didYouMean,
  refuseCallback,
  refuseSurplus,
  refuseUnknown,
} from '../../src/language/calloptions.ts'

const names = ['keep', 'maxAge', 'grace'] as const

function refusal(options: unknown, of: readonly string[] = names): string {
  try {
    callOptions('renew', options, of)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error.message
  }
  return 'none'
}

test('options of a call that exist are taken, whatever their values', () => {
  assert.deepEqual(callOptions('renew', undefined, names), {})
  assert.deepEqual(callOptions('renew', {}, names), {})
  assert.deepEqual(callOptions('renew', { keep: undefined, grace: {} }, names), { grace: {} })
  assert.deepEqual(callOptions('renew', Object.assign(Object.create(null), { keep: true }), names), {
    keep: true,
  })
  assert.deepEqual(callOptions('renew', runInNewContext('({ keep: true })'), names), { keep: true })
})

test('the options of a call are read once, at the call', () => {
  let reads = 0
  const options = {
    get keep() {
      return ++reads
    },
  }
  assert.equal(callOptions('renew', options, names).keep, 1)
  assert.equal(reads, 1)
})

test('an option that a call does not have is refused by its name, with the one that is like it', () => {
  assert.match(
    refusal({ keeep: true }),
    /^renew\(\) has no option "keeep"; did you mean "keep"\?; there are keep, /,
  )
  assert.match(refusal({ maxage: 1 }), /did you mean "maxAge"/)
  assert.match(refusal({ gracce: 1 }), /did you mean "grace"/)
  assert.match(refusal({ kepe: 1 }), /did you mean "keep"/)
  for (const name of ['rolling', 'k', '', '__proto__', 'x'.repeat(100_000)]) {
    const message = refusal(JSON.parse(`{ ${JSON.stringify(name)}: true }`))
    assert.match(message, /^renew\(\) has no option ".*"; there are keep, maxAge, grace$/)
    assert.ok(message.length < 200)
  }
})

test('what is no plain object is no options', () => {
  class Options {
    keep = true
  }
  for (const wrong of [
    null,
    [],
    ['keep'],
    'keep',
    1,
    true,
    Symbol('keep'),
    new Options(),
    new Map(),
    new Date(),
  ]) {
    assert.match(refusal(wrong), /^renew\(\) takes options as a plain object, not /)
  }
  assert.match(refusal({ keep: null }), /keep.* is null; leave it out/)
})

test('a call without options says so', () => {
  assert.deepEqual(callOptions('finish', undefined, []), {})
  for (const given of [{}, { keep: true }, null, 'x']) assert.match(refusal(given, []), /takes no options/)
})

test('a callback is told that there is a promise', () => {
  for (const callback of [() => {}, async () => {}, function named() {}, class {}]) {
    assert.match(refusal(callback), /^renew\(\) returns a promise/)
    assert.match(refusal(callback, []), /^renew\(\) returns a promise/)
    assert.throws(() => refuseCallback('renew', [{ keep: true }, callback]), ConfigurationError)
  }
  refuseCallback('renew', [])
  refuseCallback('renew', [undefined, { keep: true }])
})

test('arguments that a call does not take are counted, unless they are undefined', () => {
  for (const args of [[], ['a'], ['a', undefined, undefined]]) refuseSurplus('renew', args, 1)
  for (const [most, args, message] of [
    [0, [{}], 'renew() takes no arguments, and got 1'],
    [1, ['a', null], 'renew() takes at most 1 argument, and got 2'],
    [2, ['a', 'b', undefined, 'd'], 'renew() takes at most 2 arguments, and got 4'],
  ] as const) {
    assert.throws(() => refuseSurplus('renew', args, most), { name: 'ConfigurationError', message })
  }
})

test('of names that are much like the given one, the nearest is proposed', () => {
  assert.equal(didYouMean('extends', ['extend', 'except']), '; did you mean "extend"?')
  assert.equal(didYouMean('KEY', ['store', 'key']), '; did you mean "key"?')
  assert.equal(didYouMean('path', ['key', 'user']), '')
})

test('of an option that belongs elsewhere it is said where', () => {
  const advice = { secure: 'it belongs under cookie', ttl: 'the lifetime is maxAge' }
  const refused = (options: object) => {
    try {
      refuseUnknown('Store()', options, ['key', 'maxAge'], advice)
    } catch (error) {
      assert.ok(error instanceof ConfigurationError)
      return error.message
    }
    return 'none'
  }
  assert.equal(refused({ key: 1, maxAge: undefined }), 'none')
  for (const name of ['secure', 'Secure', 'secur', 'seucre']) {
    assert.equal(
      refused({ key: 1, [name]: true }),
      `Store() has no option "${name}": it belongs under cookie; there are key, maxAge`,
    )
  }
  assert.match(refused({ TTL: 1 }), /"TTL": the lifetime is maxAge;/)
  assert.match(refused({ maxage: 1 }), /"maxage"; did you mean "maxAge"\?;/)
  assert.match(refused({ constructor: 1 }), /no option "constructor"; there are/)
})

import assert from 'node:assert/strict'
import { FieldError } from '../../errors.ts'
import type { Change } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import { otherValuesOf } from './otherbson.ts'
import { aChange, aRecord, aSession, fieldsOf, guarded, inc, push, set } from './records.ts'

const text = 'ASCII, umlaut ü, 名前, emoji 😀, \u0001\n\t"\\ and \u2028'
const bytes = Uint8Array.from([0, 1, 127, 128, 255])

/** What goes in and, where it is something else, what comes out: what MongoDB's driver gives by default. */
function tableOf({
  Binary,
  Decimal128,
  Long,
  ObjectId,
  UUID,
}: BSON): [what: string, given: unknown, back?: unknown][] {
  return [
    ['null', null],
    ['true', true],
    ['false', false],
    ['zero', 0],
    ['minus zero', -0],
    ['an integer', 42],
    ['a negative integer', -42],
    ['the largest integer of 32 bits', 2 ** 31 - 1],
    ['an integer beyond 32 bits', 2 ** 31],
    ['the least integer of 32 bits', -(2 ** 31)],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER],
    ['a fraction', 0.1],
    ['the least of all numbers', 5e-324],
    ['the largest of all numbers', Number.MAX_VALUE],
    ['a small bigint', 5n, 5],
    ['a bigint that a number holds', BigInt(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
    ['a bigint that no number holds', 2n ** 53n + 1n, Long.fromBigInt(2n ** 53n + 1n)],
    ['the largest bigint of 64 bits', 2n ** 63n - 1n, Long.MAX_VALUE],
    ['the least bigint of 64 bits', -(2n ** 63n), Long.MIN_VALUE],
    ['a Long that a number holds', Long.fromNumber(7), 7],
    ['a Long that no number holds', Long.MAX_VALUE],
    ['an unsigned Long that a number holds', Long.fromNumber(7, true), 7],
    ['an unsigned Long that no number holds', Long.MAX_VALUE.toUnsigned(), Long.MAX_VALUE],
    ['a Decimal128', Decimal128.fromString('0.10')],
    ['a Decimal128 of all its digits', Decimal128.fromString('-1234567890.123456789012345678901234E-100')],
    ['an empty string', ''],
    ['a string', text],
    ['a long string', 'ü'.repeat(100_000)],
    ['a string with a NUL', 'a\0b'],
    ['a string that looks like a number', '1e3'],
    ['a date', new Date('2026-02-28T12:34:56.789Z')],
    ['a date before 1970', new Date(-1)],
    ['the first date', new Date(-8.64e15)],
    ['bytes', bytes, new Binary(bytes, 0)],
    ['no bytes', new Uint8Array(), new Binary(new Uint8Array(), 0)],
    ['a Buffer', Buffer.from(bytes), new Binary(bytes, 0)],
    ['a Binary', new Binary(bytes, 0)],
    ['an ObjectId', new ObjectId('65a000000000000000000001')],
    ['a UUID', new UUID('0d5f7a52-0a3c-4f0e-9a43-0123456789ab')],
    ['an empty array', []],
    [
      'an array of all sorts',
      [1, 'a', null, [2, [3, []]], { a: [{}] }, new Date(0), new ObjectId('65a000000000000000000001')],
    ],
    ['an empty object', {}],
    ['an object of all sorts', { a: { b: { c: [1, { d: null }] } }, 'a-b c': 1, ü: '名', toString: 1 }],
    ['an object with numbers for keys', { 10: 'a', 9: 'b' }],
    ['an object nested 40 deep', nest(40)],
    ['a list of many', Array.from({ length: 2000 }, (_, index) => ({ index, even: index % 2 === 0 }))],
  ]
}

export function values(test: Test, bson: BSON): void {
  const { Decimal128, Long } = bson
  const otherValues = otherValuesOf(bson)
  for (const [what, given, back = given] of tableOf(bson)) {
    test(`a value comes back as MongoDB's driver gives it: ${what}`, async store => {
      const { id } = await aSession(store, { stored: given })
      const answer = { paths: ['set', 'inner.value', 'list'], when: 'after' } as const
      const outcome = await store.update(
        id,
        aChange(set('set', given), set('inner.value', given), push('list', given)),
        answer,
      )
      const written = { set: back, inner: { value: back }, list: [back] }
      assert.deepEqual(outcome, { rev: 2, fields: written })
      assert.deepEqual(await fieldsOf(store, id), { stored: back, ...written })
      assert.deepEqual(await store.read(id, ['stored']), { rev: 2, fields: { stored: back } })
      // What was stored before goes through the store once more when something else changes.
      const later = await store.update(id, aChange(set('other', 1)), { paths: ['stored'], when: 'before' })
      assert.deepEqual(later, { rev: 3, fields: { stored: back } })
      assert.deepEqual((await fieldsOf(store, id)).stored, back)
    })
  }

  test('a value that another version of bson made is refused by its path, wherever it is, and nothing is written', async store => {
    const record = await aSession(store, { n: 1, list: [] })
    const { id } = record
    for (const [type, value] of otherValues) {
      const changes: [path: string, change: Change][] = [
        ['user', aChange(inc('n'), set('user', value))],
        ['cart.lines.0.sku', aChange(inc('n'), set('cart', { lines: [{ sku: value }] }))],
        ['list.0', aChange(inc('n'), push('list', value))],
        ['user', guarded({ path: 'user', comparator: '!=', arg: value }, inc('n'))],
        ['user.1', guarded({ path: 'user', comparator: 'in', arg: [1, value] }, inc('n'))],
      ]
      for (const [path, change] of changes) {
        for (const answer of [undefined, { paths: ['n'], when: 'after' }] as const) {
          await assert.rejects(store.update(id, change, answer), isFieldError(path, type))
        }
      }
      const fields = { a: 1, deep: { list: [{ value }] } }
      await assert.rejects(store.insert(aRecord(fields)), isFieldError('deep.list.0.value', type))
      if (!store.find) continue
      await assert.rejects(
        async () => {
          for await (const _ of store.find?.('user', value) ?? []);
        },
        isFieldError('user', type),
      )
    }
    assert.deepEqual(await store.load(id), record)
  })

  test('the keys of an object keep their order', async store => {
    const object = { z: 1, a: 2, m: { y: 1, b: 2 } }
    const { id } = await aSession(store, { stored: object })
    await store.update(id, aChange(set('given', object)))
    const { stored, given } = await fieldsOf(store, id)
    assert.equal(JSON.stringify(stored), JSON.stringify(object))
    assert.equal(JSON.stringify(given), JSON.stringify(object))
  })

  test('a number keeps its kind through arithmetic', async store => {
    const { id } = await aSession(store, {
      int: 2 ** 31 - 1,
      double: 0.5,
      long: 2n ** 53n,
      decimal: Decimal128.fromString('0.1'),
    })
    const add = (path: string, arg: unknown) => ({ op: '$inc', path, arg }) as const
    await store.update(
      id,
      aChange(
        add('int', 1),
        add('double', 0.5),
        add('long', 1),
        add('decimal', Decimal128.fromString('0.2')),
      ),
    )
    assert.deepEqual(await fieldsOf(store, id), {
      int: 2 ** 31,
      double: 1,
      long: Long.fromBigInt(2n ** 53n + 1n),
      decimal: Decimal128.fromString('0.3'),
    })
  })
}

function isFieldError(path: string, type: string): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof FieldError, `not a FieldError: ${String(error)}`)
    assert.equal(error.path, path)
    assert.ok(error.message.includes(`make it with the ${type} `), error.message)
    return true
  }
}

function nest(levels: number): Fields {
  return levels === 0 ? { end: true } : { next: nest(levels - 1) }
}

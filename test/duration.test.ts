import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { milliseconds } from '../src/duration.ts'
import { ConfigurationError } from '../src/errors.ts'

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR

test('a duration may be told in words', () => {
  const said: Record<string, number> = {
    '1 month': 30.4375 * DAY,
    '14 days': 14 * DAY,
    '2h': 2 * HOUR,
    '2 hours': 2 * HOUR,
    '1h 30m': 1.5 * HOUR,
    '1 hour, 30 minutes': 1.5 * HOUR,
    '0.5 h': HOUR / 2,
    ' 1 week ': 7 * DAY,
    '30s': 30_000,
    '250 ms': 250,
    '1 Day': DAY,
  }
  for (const [words, ms] of Object.entries(said)) assert.equal(milliseconds('maxAge', words), ms, words)
})

test('what is no positive duration is refused, naming the option and the way out', () => {
  const nonsense = [
    '',
    'banana',
    '3 bananas 2 days',
    '2',
    '-1h',
    '1e3 s',
    '0s',
    'h',
    '1 h!',
    'Infinity days',
    -1,
    0,
  ]
  for (const wrong of [...nonsense, Number.NaN, Infinity, 2 ** 60, null, undefined, {}, [], true, 5n]) {
    assert.throws(
      () => milliseconds('touchAfter', wrong as never),
      (error: Error) => error instanceof ConfigurationError && /^touchAfter .*'14 days'/.test(error.message),
      String(wrong),
    )
  }
})

test('a duration that is refused is shown as it was given', () => {
  const given: [unknown, string][] = [
    [Infinity, 'Infinity'],
    [-Infinity, '-Infinity'],
    [Number.NaN, 'NaN'],
    [5n, '5n'],
    [undefined, 'undefined'],
    [new Date(Number.NaN), 'Invalid Date'],
    ['a day\x1b[2J', "'a day\\x1B[2J'"],
  ]
  for (const [duration, shown] of given) {
    assert.throws(
      () => milliseconds('maxAge', duration as never),
      (error: Error) => error.message.startsWith(`maxAge is not a positive duration: ${shown};`),
      shown,
    )
  }
  assert.throws(
    () => milliseconds('maxAge', 'x'.repeat(100_000)),
    (error: Error) => error.message.length < 300,
  )
})

test('milliseconds are taken as they are, in whole ones', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_000_000_000_000 }), ms => {
      assert.equal(milliseconds('maxAge', ms), ms)
    }),
  )
  assert.equal(milliseconds('maxAge', 1.4), 1)
})

test('no text makes anything but a positive whole number or an error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,5} ?[a-z]{1,8}$/)), text => {
      let ms: number
      try {
        ms = milliseconds('maxAge', text)
      } catch (error) {
        assert.ok(error instanceof ConfigurationError)
        return
      }
      assert.ok(Number.isSafeInteger(ms) && ms > 0)
    }),
  )
})

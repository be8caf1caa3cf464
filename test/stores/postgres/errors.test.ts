import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal } from '../../../src/stores/postgres/errors.ts'

/** As both packages give it. */
function answer(severity: string, code: string): Error {
  return Object.assign(new Error('As the server puts it'), { severity, code })
}

test('nothing was done where the server undid the statement, or let nobody in', () => {
  for (const code of ['23505', '25006', '40001', '53100', '57014', '58030']) {
    assert.equal(isRefusal(answer('ERROR', code)), true, code)
  }
  for (const code of ['28000', '28P01', '3D000', '53300', '57P03']) {
    assert.equal(isRefusal(answer('FATAL', code)), true, code)
  }
})

test('nobody knows what was done where the server or a pooler broke off, or does not know either', () => {
  for (const [severity, code, said] of [
    ['PANIC', '58030', 'could not fdatasync file'],
    ['PANIC', '53100', 'could not write to file'],
    ['FATAL', '57P01', 'terminating connection due to administrator command'],
    ['FATAL', '08P01', 'server conn crashed?'],
    ['FATAL', 'XX000', 'connection to database closed'],
    ['ERROR', '08006', 'connection failure'],
    ['ERROR', '40003', 'result is ambiguous'],
    ['PANIK', '58030', 'in German'],
    ['FEHLER', '57014', 'in German'],
  ] as const) {
    assert.equal(isRefusal(answer(severity, code)), false, said)
  }
  assert.equal(isRefusal(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })), false)
})

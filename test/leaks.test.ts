import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { newSecret } from '../src/ids.ts'
import { leaksIn } from './support/leaks.ts'

test('the suite’s check finds a secret or a signature in whatever is printed around it', () => {
  const secret = newSecret()
  const signature = randomBytes(32).toString('base64url')
  const known = new Set([secret, signature])
  for (const text of [secret, `sid=${secret}.m1.n2.`, `x${secret}y`, `\n"${secret}"\n`]) {
    assert.deepEqual(leaksIn(`before ${text} after`, known), [secret])
  }
  assert.deepEqual(leaksIn(`Set-Cookie: sid=x.${signature}; path=/`, known), [signature])
  assert.deepEqual(leaksIn(`${newSecret()} ${secret.slice(0, -1)} ${'-'.repeat(200)}`, known), [])
})

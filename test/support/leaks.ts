import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import { inspect } from 'node:util'

/** A file to which every process of a test run adds what none of them may print. */
export const UNTELLABLE = 'TEST_UNTELLABLE'

const secrets = new Set<string>()
const told: string[] = []

/** Notes the secret and the signature of a session's cookie. */
export function noteCookie(value: string): void {
  const parts = value.split('.')
  const [secret = '', signature = ''] = [parts[0], parts.at(-1)]
  if (/^[0-9a-f]{40}$/.test(secret)) secrets.add(secret).add(signature)
}

/** Notes what an error or an event shows to a thorough logger. */
export function noteTold(what: unknown): void {
  told.push(inspect(what, { depth: 8, maxStringLength: 10_000 }))
}

/** Those of `known` that a text shows. */
export function leaksIn(text: string, known: ReadonlySet<string>): string[] {
  const words = text.match(/[\w-]{40,}/g) ?? []
  return [...new Set(words.flatMap(word => windows(word)))].filter(part => known.has(part))
}

/** Every part of a word that is as long as a secret or a signature. */
function windows(word: string): string[] {
  return [40, 43].flatMap(length =>
    Array.from({ length: Math.max(0, word.length - length + 1) }, (_, at) => word.slice(at, at + length)),
  )
}

subscribe('koa-atomic-session:lifecycle', noteTold)

process.once('exit', () => {
  if (leaksIn(told.join('\n'), secrets).length > 0) {
    console.error('An error or an event showed the secret or the signature of a session’s cookie')
    process.exitCode = 1
  }
  const file = process.env[UNTELLABLE]
  if (file) appendFileSync(file, [...secrets, ''].join('\n'))
})

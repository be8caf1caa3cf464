import { ENDED_FORM, FORM } from '../../store/record.ts'
import type { Commands } from '../../stores/redis/commands.ts'
import { headIn } from '../../stores/redis/head.ts'
import { HEAD, script } from '../../stores/redis/scripts.ts'

/** What is found under a prefix. */
export interface Survey {
  /** Of ours, ended ones included. */
  sessions: number
  /** Whose time has come. */
  expired: number
  /** The earliest end of these, milliseconds since the epoch. */
  oldest: number
  /** Of ours that Redis would never remove. */
  lasting: number
  /** Named as a session, with the mark of another form. */
  unknown: number
  /** Whatever else begins so. */
  others: number
  /** Not all was looked at. */
  isPartial: boolean
}

/** So many keys are looked at. */
const MOST = 100_000

const id = /^[0-9a-f]{64}$/
/** What the store keeps beside sessions: which indexes there are, and the sessions of each user. */
const own = /^(?:indexes|user:[0-9a-f]{32})$/

/** The type of a key, its time to live in milliseconds, and what is under `_` in it. */
const look = script(`local type = redis.call('TYPE', KEYS[1]).ok
return {type, redis.call('PTTL', KEYS[1]), type == 'hash' and redis.call('HGET', KEYS[1], '_') or ''}`)

export async function surveyOf(commands: Commands, prefix: string, now: number): Promise<Survey> {
  const survey: Survey = {
    ...{ sessions: 0, expired: 0, oldest: Number.POSITIVE_INFINITY, lasting: 0, unknown: 0, others: 0 },
    isPartial: false,
  }
  let seen = 0
  for await (const keys of commands.scan(prefix)) {
    await Promise.all(keys.map(key => count(survey, commands, prefix, key, now)))
    seen += keys.length
    survey.isPartial = seen >= MOST
    if (survey.isPartial) break
  }
  return survey
}

async function count(
  survey: Survey,
  commands: Commands,
  prefix: string,
  key: string,
  now: number,
): Promise<void> {
  const name = key.slice(prefix.length)
  if (own.test(name)) return
  if (!id.test(name)) {
    survey.others++
    return
  }
  const [type, ttl, head] = (await commands.run(look, key, [])).reply as [unknown, unknown, Buffer | null]
  // Gone meanwhile.
  if (String(type) === 'none') return
  if (!head || head.length < HEAD) {
    survey.others++
    return
  }
  const mark = head[0]
  if (mark !== FORM && mark !== (ENDED_FORM & 0xff)) {
    survey.unknown++
    return
  }
  survey.sessions++
  const { expires } = headIn(head)
  if (expires <= now) {
    survey.expired++
    survey.oldest = Math.min(survey.oldest, expires)
  } else if (Number(ttl) < 0) {
    survey.lasting++
  }
}

/** The prefixes under which there are keys that are named as sessions, and have what these have. */
export async function prefixesIn(commands: Commands): Promise<string[]> {
  const found = new Set<string>()
  let seen = 0
  for await (const keys of commands.scan('')) {
    for (const key of keys) {
      const prefix = key.slice(0, -64)
      if (found.has(prefix) || !id.test(key.slice(-64))) continue
      const [, , head] = (await commands.run(look, key, [])).reply as [unknown, unknown, Buffer | null]
      if (head && head.length >= HEAD && head[0] === FORM) found.add(prefix)
    }
    seen += keys.length
    if (seen >= MOST) break
  }
  return [...found]
}

import { commandsOf } from '../../stores/redis/client.ts'
import type { Commands } from '../../stores/redis/commands.ts'
import { Indexes } from '../../stores/redis/indexes.ts'
import { clockFound, expiredFound, recordFaults } from '../doctor/faults.ts'
import { type Check, type DoctorOptions, type Fault, orFine } from '../doctor/finding.ts'
import type { Target } from '../target.ts'
import type { RedisConnection } from './connection.ts'
import { prefixesIn, type Survey, surveyOf } from './survey.ts'

/** What a server says of itself, by `INFO`. */
type Info = ReadonlyMap<string, string>

export function checksOfRedis(
  { client, call }: RedisConnection,
  { names: { prefix } }: Target,
  { field }: DoctorOptions,
): Check[] {
  const commands = commandsOf(client)
  let told: Promise<Info[]> | undefined
  const infos = () => {
    told ??= commands.info().then(all => all.map(infoIn))
    return told
  }
  const indexes = new Indexes(commands, prefix)
  let surveyed: Promise<Survey> | undefined
  const survey = () => {
    surveyed ??= indexes.ask().then(() => surveyOf(commands, prefix, indexes.now()))
    return surveyed
  }
  return [
    { name: 'connection', look: async () => connectionFound(await infos()) },
    { name: 'names', look: async () => namesFound(commands, prefix, await survey()) },
    { name: 'indexes', look: async () => indexesFound(indexes, field) },
    { name: 'durability', look: async () => durabilityFound(await infos(), call) },
    { name: 'eviction', look: async () => evictionFound(await infos()) },
    { name: 'replicas', look: async () => replicasFound(await infos()) },
    { name: 'clock', look: () => clockOf(indexes) },
    { name: 'expired', look: async () => expiredIn(await survey()) },
    { name: 'records', look: async () => recordsFound(await survey(), prefix) },
  ]
}

export function infoIn(info: string): Info {
  return new Map(
    info.split(/\r?\n/).flatMap(line => {
      const colon = line.indexOf(':')
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
    }),
  )
}

const OLDEST = [6, 2] as const

export function connectionFound(infos: readonly Info[]): readonly Fault[] | string {
  const faults: Fault[] = []
  for (const info of infos) {
    const version = info.get('redis_version') ?? ''
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (version !== '' && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) {
      faults.push({
        severity: 'error',
        message: `The server is Redis ${version}, which lacks what the store needs`,
        advice: `Use Redis ${OLDEST.join('.')} or newer, or Valkey`,
      })
    }
    if (info.get('role') === 'slave') {
      faults.push({
        severity: 'error',
        message: 'The address leads to a replica, which takes no changes',
        advice:
          'Give the address of the primary, one that follows the primary, or let the app ask the sentinels',
      })
    }
    if (info.get('loading') === '1') {
      faults.push({
        severity: 'warning',
        message: 'The server is still loading its data, and refuses commands until it has',
        advice: 'Wait, then look again',
      })
    }
  }
  const [first] = infos
  const name = first?.get('server_name') === 'valkey' ? 'Valkey' : 'Redis'
  const version = first?.get('valkey_version') ?? first?.get('redis_version') ?? ''
  const many = infos.length > 1 ? `, a cluster of ${infos.length} primaries` : ''
  return orFine(faults, `${name} ${version}${many}`)
}

async function namesFound(
  commands: Commands,
  prefix: string,
  { sessions }: Survey,
): Promise<readonly Fault[] | string> {
  if (sessions > 0) return `There are sessions under the prefix ${prefix}`
  const others = await prefixesIn(commands)
  if (others.length === 0) return `There are no sessions under the prefix ${prefix} yet`
  return [
    {
      severity: 'warning',
      message: `There are no sessions under the prefix ${prefix}, but under ${others.join(', ')}`,
      advice: 'Give --prefix, or let the app use the prefix that was meant',
    },
  ]
}

/** Milliseconds after which an index that was declared should be complete. */
const COMPLETED = 60_000

async function indexesFound(indexes: Indexes, field: string | undefined): Promise<readonly Fault[] | string> {
  const fields = field === undefined ? indexes.paths : [field]
  const faults: Fault[] = []
  for (const path of fields) {
    const index = await indexes.of(path)
    if (!index) {
      faults.push({
        severity: 'warning',
        message: `There is no index by ${path}, so find() and endAll() look at every session`,
        advice: `Give Session the option user: '${path}', and call await sessions.ensureIndex() each time the app starts`,
      })
    } else if (!index.isComplete && indexes.now() - index.since > COMPLETED) {
      faults.push({
        severity: 'warning',
        message: `The index by ${path} is not complete, so find() and endAll() look at every session`,
        advice:
          'Call await sessions.ensureIndex() in a process that lives for half a minute: it completes the index by then',
      })
    }
  }
  return orFine(
    faults,
    fields.length === 0 ? 'No index is needed' : `There is an index by ${fields.join(', ')}`,
  )
}

async function durabilityFound(
  infos: readonly Info[],
  call: RedisConnection['call'],
): Promise<readonly Fault[] | string> {
  const faults: Fault[] = []
  if (infos.some(info => info.get('aof_enabled') === '0')) {
    // Where this may not be asked, the milder one is told.
    const save = await configured(call, 'save')
    if (save === '') {
      faults.push({
        severity: 'error',
        message:
          'The server writes nothing to disk: appendonly is off, and save is empty. When it restarts, all sessions are gone',
        advice: 'Set appendonly yes',
      })
    } else {
      faults.push({
        severity: 'warning',
        message:
          'appendonly is off. When the server restarts, sessions are as they were at its last snapshot, and those that have ended since are back',
        advice: 'Set appendonly yes',
      })
    }
  } else if ((await configured(call, 'appendfsync')) === 'no') {
    faults.push({
      severity: 'warning',
      message: 'appendfsync is no. When the machine fails, the changes of half a minute may be lost',
      advice: 'Set appendfsync everysec, or always',
    })
  }
  if (infos.some(info => info.get('aof_last_write_status') === 'err')) {
    faults.push({
      severity: 'error',
      message: 'The server could not write its log lately, and refuses changes',
      advice: 'See whether its disk is full, and to its log file',
    })
  }
  return orFine(faults, 'What is acknowledged is on disk within a second or two')
}

/** A setting; nothing where it may not be asked for. */
async function configured(call: RedisConnection['call'], name: string): Promise<string | undefined> {
  const reply = await call('CONFIG', 'GET', name).catch(() => undefined)
  if (Array.isArray(reply)) return reply[1] === undefined ? undefined : String(reply[1])
  if (reply instanceof Map) return reply.get(name)
  return typeof reply === 'object' && reply !== null ? Reflect.get(reply, name) : undefined
}

function evictionFound(infos: readonly Info[]): readonly Fault[] | string {
  for (const info of infos) {
    const policy = info.get('maxmemory_policy')
    if (policy === undefined || policy === 'noeviction') continue
    const isBounded = Number(info.get('maxmemory')) > 0
    const now = isBounded ? '' : ' Now maxmemory is 0, so that it never is full by its own count'
    return [
      {
        severity: isBounded ? 'error' : 'warning',
        message: `maxmemory-policy is ${policy}. When the memory is full, Redis drops sessions that are in use, and forgets which have ended and whose they are.${now}`,
        advice: 'Set maxmemory-policy noeviction, and give sessions a server of their own',
      },
    ]
  }
  return 'Redis drops no session that is in use'
}

function replicasFound(infos: readonly Info[]): readonly Fault[] | string {
  const alone = infos.filter(info => info.get('connected_slaves') === '0')
  if (alone.length === 0) return 'Each primary has a replica'
  const which = infos.length > 1 ? `${alone.length} of ${infos.length} primaries have` : 'The server has'
  return [
    {
      severity: 'note',
      message: `${which} no replica. While it is away requests that use their session are answered with 503, and what its disk loses is lost`,
      advice: 'Add a replica and sentinels, or use a cluster with replicas, if that is too little',
    },
  ]
}

async function clockOf(indexes: Indexes): Promise<readonly Fault[] | string> {
  const before = Date.now()
  await indexes.ask()
  const after = Date.now()
  return clockFound(
    indexes.now(),
    before,
    after,
    "The server's clock decides about changes, and the app's about reads",
  )
}

function expiredIn({ expired, oldest, lasting }: Survey): readonly Fault[] | string {
  if (expired === 0 && lasting > 0) {
    return [
      {
        severity: 'warning',
        message: `Sessions that have lost the time at which Redis removes them, as by PERSIST or by a copy: ${lasting}. They will stay when they have expired`,
        advice:
          'Copy keys together with their time to live. `koa-atomic-session sweep` removes them once they have expired',
      },
    ]
  }
  const why = 'Their keys have no time to live, as after PERSIST or a copy without it.'
  return expiredFound(expired, expired > 0 ? new Date(oldest) : undefined, why)
}

function recordsFound({ others, unknown, isPartial }: Survey, prefix: string): readonly Fault[] | string {
  const faults = recordFaults({ others, unknown, broken: 0 }, 'Keys', `the prefix ${prefix}`)
  return orFine(faults, isPartial ? 'The first 100,000 keys are ours' : 'All keys under the prefix are ours')
}

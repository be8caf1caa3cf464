import { ConfigurationError } from '../../errors.ts'

/** Milliseconds. */
const LARGE_SKEW = 1000

const OLDEST = [6, 2] as const

/** What a server tells of itself, by `INFO`. */
type Info = ReadonlyMap<string, string>

/**
 * Looks at what each primary says of itself.
 * @throws {ConfigurationError} for a server that is too old, or a replica.
 */
export function checkServers(infos: readonly string[]): void {
  const warnings = new Set<string>()
  for (const info of infos.map(parsed)) {
    const version = info.get('redis_version')
    if (version !== undefined && isTooOld(version)) {
      throw new ConfigurationError(
        `The server is Redis ${version}: version ${OLDEST.join('.')} or newer is needed`,
      )
    }
    if (info.get('role') === 'slave') {
      throw new ConfigurationError(
        'client is connected to a replica, which cannot be written: connect to the primary',
      )
    }
    for (const warning of warningsOf(info)) warnings.add(warning)
  }
  for (const warning of warnings) process.emitWarning(warning, 'SessionWarning')
}

function warningsOf(info: Info): string[] {
  const warnings: string[] = []
  const policy = info.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(
      `Redis has maxmemory-policy ${policy}: when its memory is full it drops sessions that are in use, and forgets which have ` +
        'ended and whose they are. Set noeviction, and give sessions a server of their own',
    )
  }
  if (info.get('aof_enabled') === '0') {
    warnings.push(
      'Redis has appendonly off: when it restarts, sessions are as they were at its last snapshot, and those that have ended since ' +
        'are back. Set appendonly yes',
    )
  }
  return warnings
}

export function warnOfSkew(skew: number): void {
  if (Math.abs(skew) <= LARGE_SKEW) return
  process.emitWarning(
    `The clock of Redis is ${Math.round(Math.abs(skew))} ms ${skew > 0 ? 'ahead of' : 'behind'} this process's: sessions end by ` +
      "the server's when they are changed, and by this process's when they are read. Let both follow one time server",
    'SessionWarning',
  )
}

function parsed(info: string): Info {
  return new Map(
    info.split('\r\n').flatMap(line => {
      const colon = line.indexOf(':')
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
    }),
  )
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

import { type Fault, orFine } from '../doctor/finding.ts'
import type { Answer, SetCookie } from './asking.ts'

type Asked = (headers: Record<string, string>) => Promise<[Answer, SetCookie | undefined]>

/** Whether a cache may give what is one visitor's to another. */
export async function cacheFound(
  answer: Answer,
  { name, value }: SetCookie,
  asked: Asked,
): Promise<readonly Fault[] | string> {
  const faults: Fault[] = []
  if (isFromCache(answer)) {
    faults.push({
      severity: 'error',
      message: `A response with the cookie ${name} came from a cache: visitors share one session`,
      advice: 'Keep these pages out of the cache, empty it, and end all sessions',
    })
  }
  if (!isUnshared(answer)) {
    faults.push({
      severity: 'error',
      message: `The response with the cookie ${name} may be stored by caches: its Cache-Control has neither private nor no-store`,
      advice: 'The library sends no-store. Let no proxy or CDN alter Cache-Control',
    })
  }
  const [again] = await asked({ Cookie: `${name}=${value}` })
  const vary = String(again.headers.vary ?? '').toLowerCase()
  if (!/(?:^|[\s,])(?:cookie|\*)(?:$|[\s,])/.test(vary) && !isUnshared(again)) {
    faults.push({
      severity: 'warning',
      message:
        'A page that uses the session has neither Vary: Cookie nor a private Cache-Control, so a cache may give it to another visitor',
      advice:
        'The library sends Vary: Cookie. Let no proxy remove it, and send Cache-Control: private with such pages',
    })
  }
  return orFine(faults, 'No cache gives it to another visitor')
}

function isUnshared({ headers }: Answer): boolean {
  const directives = String(headers['cache-control'] ?? '')
    .toLowerCase()
    .split(',')
    .map(directive => directive.trim())
  return directives.includes('private') || directives.includes('no-store')
}

function isFromCache({ headers }: Answer): boolean {
  const told = ['x-cache', 'cf-cache-status', 'x-cache-status'].map(name => String(headers[name] ?? ''))
  return Number(headers.age) > 0 || told.some(status => /\bhit\b/i.test(status))
}

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
  // What came from a cache is another visitor's cookie, and the doctor is not that visitor.
  const [again] = await asked(isFromCache(answer) ? {} : { Cookie: `${name}=${value}` })
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

/** Headers by which caches say what they did. */
const statuses = [
  'x-cache',
  'cf-cache-status',
  'x-cache-status',
  'cache-status',
  'x-proxy-cache',
  'x-vercel-cache',
]

/** Whether a cache says that it gave this answer. */
export function isFromCache({ headers }: Answer): boolean {
  const told = statuses.map(name => String(headers[name] ?? '').trim())
  // `TCP_HIT` too. A cache that asks the app because what it has is stale says so in more words.
  const isHit = told.some(status => /(?:\b|_)hit(?:\b|_)|^(?:stale|updating|revalidated)$/i.test(status))
  return Number(headers.age) > 0 || isHit
}

import type { Random } from './random.ts'

/** A command's name and arguments. */
export type Call = readonly [command: string, ...args: unknown[]]

/**
 * On the handle, with its result; on the loaded session, which is answered as it was before and as it is after; or on
 * the handle and not awaited, when only the acknowledgement is answered.
 */
export type Manner = 'handle' | 'loaded' | 'unawaited'

export type Request =
  | { readonly kind: 'commands'; readonly calls: readonly Call[]; readonly manner: Manner }
  | { readonly kind: 'read' }
  | { readonly kind: 'get'; readonly paths: readonly string[] }
  | { readonly kind: 'once'; readonly path: string; readonly value: string }
  | { readonly kind: 'destroy' }
  | { readonly kind: 'regenerate'; readonly keep: boolean | readonly string[] }

/** What a session begins with. */
export const firstFields = {
  n: 1,
  credits: 50,
  ops: 0,
  flash: 'first',
  list: [3, 1, 2],
  tags: [1, 2],
  log: ['first'],
  prefs: { theme: 'light', size: 1 },
  mixed: 1,
}

/** One client's requests. The values it stores are its own, so that what others read tells whose change they saw. */
export class Requests {
  readonly #random: Random
  readonly #client: number
  #count = 0

  constructor(random: Random, client: number) {
    this.#random = random
    this.#client = client
  }

  /** `ending` is how probable it is that the request ends the session. */
  next(ending: number): Request {
    const random = this.#random
    if (random.chance(ending)) return this.#ending()
    const kind = random.fraction()
    if (kind < 0.2) return { kind: 'read' }
    if (kind < 0.25) return { kind: 'get', paths: random.some(Object.keys(firstFields), 1 + random.below(3)) }
    if (kind < 0.31) return { kind: 'once', path: random.pick(['flash', 'notice']), value: this.#unique() }
    const manner = random.fraction()
    return {
      kind: 'commands',
      calls: kind < 0.6 ? this.#chain() : [this.#call(random.pick(fields))],
      manner: manner < 0.7 ? 'handle' : manner < 0.87 ? 'loaded' : 'unawaited',
    }
  }

  #ending(): Request {
    if (this.#random.chance(0.4)) return { kind: 'destroy' }
    return { kind: 'regenerate', keep: this.#random.pick([false, true, true, ['ops', 'prefs.size', 'log']]) }
  }

  /** Counted by the session, so that most answers tell which place in the order was theirs. */
  #chain(): Call[] {
    const random = this.#random
    if (random.chance(0.2)) {
      const sale: Call[] = [
        ['if', 'credits', '>=', 5],
        ['inc', 'credits', -5],
      ]
      return [...sale, ['push', 'log', this.#unique(), { slice: -5 }], ['inc', 'ops']]
    }
    const calls = random.some(fields, 1 + random.below(3)).map(field => this.#call(field))
    const guards = calls.filter(([name]) => name === 'if')
    const [take] = calls.filter(([name]) => name === 'take')
    const others = calls.filter(([name]) => name !== 'if' && name !== 'take')
    return [...guards, ...(take ? [take] : []), ...others, ['inc', 'ops']]
  }

  #unique(): string {
    return `${this.#client}.${this.#count++}`
  }

  #call(field: (typeof fields)[number]): Call {
    const random = this.#random
    const small = random.below(8)
    const unique = this.#unique()
    switch (field) {
      case 'n':
        return random.pick<Call>([
          ['inc', 'n'],
          ['inc', 'n', small - 4],
          ['mul', 'n', random.pick([-1, 0.5, 0])],
          ['min', 'n', small],
          ['max', 'n', small],
          ['set', 'n', small],
          ['if', 'n', random.pick(['=', '!=', '<', '<=', '>', '>=']), small],
        ])
      case 'credits':
        return random.pick<Call>([
          ['inc', 'credits', small],
          ['inc', 'credits', 5],
          ['if', 'credits', '<', 20],
          ['if', 'credits', 'in', [0, 5, 10, 15, 20]],
        ])
      case 'flash':
        return random.pick<Call>([
          ['set', 'flash', unique],
          ['set', { flash: unique, notice: unique }],
          ['take', 'flash'],
          ['take', 'flash'],
          ['unset', 'flash', 'notice'],
          ['rename', 'flash', 'notice'],
          ['rename', 'notice', 'flash'],
          ['if', 'flash', 'exists', random.chance(0.5)],
        ])
      case 'list':
        return random.pick<Call>([
          ['push', 'list', small, { sort: random.pick([1, -1]), slice: 6 }],
          ['push', 'list', small, { position: random.below(3), slice: 6 }],
          ['pushAll', 'list', [small, unique], { slice: -6 }],
          ['pop', 'list', random.pick([1, -1])],
          ['pull', 'list', small],
          ['pull', 'list', random.pick(['<', '>=', '!=']), small],
          ['set', 'list.0', unique],
          ['set', 'list', [small]],
        ])
      case 'tags':
        return random.pick<Call>([
          ['addToSet', 'tags', small],
          ['addToSet', 'tags', small, random.below(8)],
          ['pull', 'tags', small],
          ['pullAll', 'tags', [small, random.below(8)]],
          ['if', 'tags', small],
        ])
      case 'log':
        return random.pick<Call>([
          ['push', 'log', unique, { slice: -5 }],
          ['pushAll', 'log', [unique, `${unique}'`], { slice: -5 }],
          ['take', 'log'],
        ])
      case 'prefs':
        return random.pick<Call>([
          ['set', 'prefs.theme', unique],
          ['set', ['prefs', 'theme'], unique],
          ['set', 'prefs', { theme: unique, size: small }],
          ['inc', 'prefs.size'],
          ['rename', 'prefs.theme', 'theme'],
          ['rename', 'theme', 'prefs.theme'],
          ['unset', 'prefs.size', 'prefs.theme'],
          ['if', 'prefs.size', '>', small],
        ])
      // Of many types, so that commands meet a wrong one now and then.
      case 'mixed':
        return random.pick<Call>([
          ['set', 'mixed', random.pick([small, unique, [unique]])],
          ['inc', 'mixed', small],
          ['push', 'mixed', unique, { slice: -3 }],
          ['addToSet', 'mixed', small],
          ['pop', 'mixed'],
        ])
    }
  }
}

const fields = ['n', 'credits', 'flash', 'list', 'tags', 'log', 'prefs', 'mixed'] as const

/** Where the app takes the request. */
export function routeOf(request: Request): string {
  if (request.kind !== 'commands') return `/${request.kind}`
  const [first] = request.calls
  return request.calls.length === 1 && first ? `/${first[0]}` : '/chain'
}

export function shown(request: Request): string {
  if (request.kind !== 'commands') return JSON.stringify(request)
  const calls = request.calls.map(([name, ...args]) => `.${name}(${JSON.stringify(args).slice(1, -1)})`)
  return `${request.manner}${calls.join('')}`
}

/** What a request does with its session. The load generator asks for `/${act}`. */
export const acts = ['untouched', 'read', 'change', 'blind', 'chain', 'read-and-change', 'increment'] as const

export type Act = (typeof acts)[number]

/** `/seed?bytes=65536` stores the session that the other requests act on. */
export function bytesAskedFor(query: string | undefined): number {
  return Number(new URLSearchParams(query).get('bytes') ?? 0)
}

export interface Fields {
  views: number
  theme: string
  log: string[]
  padding: string
}

export function seeded(bytes: number): Fields {
  return { views: 0, theme: 'dark', log: [], padding: 'x'.repeat(bytes) }
}

let count = 0

/** Another one each time, so that no library can find that nothing has changed. */
export function anotherTheme(): string {
  return `theme ${++count}`
}

/** How many lines of the log are kept. */
export const LINES = 10

/** The acts with a session that is an object, read before and written back whole afterwards. */
export const onObject: Readonly<Record<Exclude<Act, 'untouched'>, (session: Fields) => string>> = {
  read: ({ views }) => String(views),
  change: changeOne,
  // They have none that is not awaited: whatever was changed is written when the response ends.
  blind: changeOne,
  'read-and-change': session => `${session.views} ${changeOne(session)}`,
  chain(session) {
    const theme = changeOne(session)
    session.views++
    session.log = [...session.log, theme].slice(-LINES)
    return `${session.views} ${theme}`
  },
  increment: session => String(++session.views),
}

function changeOne(session: Fields): string {
  session.theme = anotherTheme()
  return session.theme
}

export function isAct(name: string): name is keyof typeof onObject {
  return name in onObject
}

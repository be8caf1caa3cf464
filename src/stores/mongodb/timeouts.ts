/** What the driver waits for before it sends a command. Each is `undefined` or 0 where it waits without end. */
export const waits = ['serverSelectionTimeoutMS', 'connectTimeoutMS', 'waitQueueTimeoutMS'] as const

/** As the driver has them in `client.options`, its own defaults filled in. */
export type ClientOptions = { readonly [name in (typeof waits)[number]]?: number | undefined } & {
  readonly metadata?: unknown
}

/** Clients: of older ones each look at the options gives another object. */
const warned = new WeakSet<object>()

/**
 * Warns where the driver waits longer than anybody waits for it: it may then send a change whose request has been answered
 * long ago. What the client does not tell is not judged, and each client is warned of once.
 */
export function warnOfWaits(client: { readonly options?: ClientOptions }, timeout: number): void {
  const { options = {} } = client
  const longer = waits.flatMap(name => {
    const ms = options[name]
    if (ms === undefined || (ms > 0 && ms <= timeout)) return []
    return `${name} (${ms === 0 ? 'no limit' : `${ms} ms`})`
  })
  if (longer.length === 0 || warned.has(client)) return
  warned.add(client)
  process.emitWarning(
    `MongoDB's driver waits longer than sessions' timeout of ${timeout} ms, and may make a change whose request was ` +
      `answered with an error long ago: ${longer.join(', ')}. Give the client at most ${timeout} for each`,
    'SessionWarning',
  )
}

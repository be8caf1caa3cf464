import type { Censor } from './censor.ts'

/** What an error says, and the one that it comes from, without secrets. */
export function toldOf(error: unknown, censor: Censor): string {
  const messages: string[] = []
  for (let one: unknown = error; one instanceof Error && messages.length < 3; one = one.cause) {
    // What follows is for who has written the program, such as where modules were looked for.
    const [message = ''] = messageOf(one).split('\n')
    if (message !== '' && !messages.some(known => known.includes(message))) messages.push(message)
  }
  return censor(messages.join(': ') || String(error))
}

/** Of an address with several hosts each has failed, and only these say why. */
function messageOf(error: Error): string {
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message
  return error.errors.map(one => (one instanceof Error ? one.message : String(one))).join(', ')
}

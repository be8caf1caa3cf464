import { FieldError } from '../errors.ts'
import { didYouMean } from '../language/calloptions.ts'
import { isFieldName, quote } from '../language/paths.ts'
import { dotIn, faultOfPath, wayOfMember } from './view.ts'

/** What test runners, loggers and serializers ask of any value, to find out what it is. */
const askedOfAnything = new Set(['then', 'toJSON', 'asymmetricMatch', 'nodeType', 'tagName', 'hasAttribute'])

/** Whether a name may be asked of a handle that has no such member: no field is meant by it. */
export function isAskedOfAnything(name: string): boolean {
  return askedOfAnything.has(name) || name in Object.prototype || /^(?:_|\$|@@)/.test(name)
}

/** `handle` is what the app calls it, such as `ctx.session`; `members` are the names of what it has. */
export function notLoaded(handle: string, name: string, members: readonly string[]): FieldError {
  const ways = [`\`const session = await ${handle}()\` and \`session${read(name)}\``]
  if (!faultOfPath([name])) ways.push(`\`await ${handle}.get(${quote(name)})\``)
  // No more is guessed, since many a field is somewhat like a command: user and unset.
  const alike = members.filter(member => member[0] === name[0])
  return new FieldError(
    `${handle} is not loaded: use ${ways.join(', or ')}${didYouMean(name, alike, 1)}`,
    name,
  )
}

export function notListed(handle: string): FieldError {
  return new FieldError(
    `${handle} is not loaded, so its fields cannot be listed: use \`const session = await ${handle}()\` and \`{ ...session }\``,
  )
}

/** Says which command does what was tried on the handle: what is put there would be lost. */
export function notKept(handle: string, key: string | symbol, removing = false): FieldError {
  const name = String(key)
  return new FieldError(
    `${removing ? 'Nothing can be deleted from' : 'Nothing can be assigned to'} ${handle}${way(handle, key, removing)}`,
    name,
  )
}

function way(handle: string, key: string | symbol, removing: boolean): string {
  if (typeof key === 'symbol') return ', and a session holds nothing under a symbol'
  if (!removing && key === 'maxAge') return `: use \`${handle}.touch(maxAge)\``
  const member = wayOfMember(handle, key)
  if (member) return `, and ${quote(key)} cannot be a field: ${member}`
  if (!isFieldName(key)) return `, and ${quote(key)} cannot be a field`
  if (key.includes('.')) return `. ${dotIn(key)}`
  const fault = faultOfPath(key)
  if (fault) return `. ${fault.message}`
  return removing ? `: use \`${handle}.unset(${quote(key)})\`` : `: use \`${handle}.set(${quote(key)}, …)\``
}

function read(name: string): string {
  return /^[a-z]\w{0,60}$/i.test(name) ? `.${name}` : `[${quote(name)}]`
}

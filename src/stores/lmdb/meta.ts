import { ConfigurationError } from '../../errors.ts'
import type { Path } from '../../language/paths.ts'
import { decode, encode } from '../bson.ts'

/** What an acknowledged change survives. */
export type Durability = 'process' | 'disk'

/** What the file says of itself. */
export interface Meta {
  readonly durability: Durability
  /** By which fields sessions are found. An index is not complete while sessions from before it are being added. */
  readonly indexes: readonly { readonly path: Path; readonly isComplete: boolean }[]
}

/** Of the keys and entries in the file. */
const FORMAT = 1

export function bytesOfMeta({ durability, indexes }: Meta): Uint8Array {
  return encode({ format: FORMAT, durability, indexes })
}

/** Throws for what another version of this store has written, which is then left as it is. */
export function metaOf(bytes: Uint8Array, path: string): Meta {
  const { format, durability, indexes } = decode(bytes)
  if (format !== FORMAT) {
    throw new ConfigurationError(
      `${path} has format ${Number(format)}, and this version of koa-atomic-session writes format ${FORMAT}: ` +
        'use the version that made it, or another file',
    )
  }
  return { durability, indexes } as unknown as Meta
}

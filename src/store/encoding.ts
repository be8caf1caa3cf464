import { FieldError } from '../errors.ts'
import type { Change } from '../language/change.ts'
import { quote } from '../language/paths.ts'
import { bsonVersion, type Fields, isBSON, isContainer } from '../language/values.ts'

/** The values that a store has to encode, each with its path. */
export type Given = readonly (readonly [path: string, value: unknown])[]

export function givenBy({ guards, operations }: Change): Given {
  const given: [path: string, value: unknown][] = []
  for (const { path, arg } of guards) given.push([path, arg])
  for (const part of operations) if ('arg' in part) given.push([part.path, part.arg])
  return given
}

export function givenIn(fields: Fields): Given {
  return Object.entries(fields)
}

/**
 * The error for a BSON value that was made by another major version of `bson` than the store's, which cannot encode it. `undefined`
 * if there is none.
 */
export function foreignValue(given: Given, major: number): FieldError | undefined {
  for (const [path, value] of given) {
    const found = foreignIn(path, value, major)
    if (found) return found
  }
  return undefined
}

function foreignIn(path: string, value: unknown, major: number): FieldError | undefined {
  if (isContainer(value)) {
    return foreignValue(
      Object.entries(value).map(([key, member]) => [`${path}.${key}`, member]),
      major,
    )
  }
  if (!isBSON(value)) return undefined
  const version: unknown = Reflect.get(value, bsonVersion)
  if (version === major) return undefined
  return new FieldError(
    `The value for ${quote(path)} is of version ${String(version)} of the package bson, and the store encodes with version ` +
      `${major}: make it with the ${value._bsontype} that the store's own driver or bson has`,
    path,
  )
}

import { ConfigurationError } from '../errors.ts'
import { requiredByProgram } from '../stores/packages.ts'

/** Each is loaded only where its database is asked for. */
const loaders = {
  mongodb: () => import('mongodb'),
  redis: () => import('redis'),
  ioredis: () => import('ioredis'),
  // In what is used here the two are one.
  iovalkey: (): Promise<unknown> => import('iovalkey'),
  pg: () => import('pg'),
  postgres: () => import('postgres'),
}

export type DriverName = keyof typeof loaders
type Driver<Name extends DriverName> = Awaited<ReturnType<(typeof loaders)[Name]>>

/** One of several packages, by its name. */
export type Loaded<Name extends DriverName> = { [N in Name]: { name: N; driver: Driver<N> } }[Name]

/**
 * The first of the packages that is installed: beside this one, or in the folder where the command is given.
 * @throws {ConfigurationError} that says which to install.
 */
export async function driverOf<Name extends DriverName>(
  what: string,
  names: readonly Name[],
  load: (name: Name) => Promise<unknown> = loaded,
): Promise<Loaded<Name>> {
  let cause: unknown
  for (const name of names) {
    try {
      return { name, driver: await load(name) } as Loaded<Name>
    } catch (error) {
      cause ??= isMissing(error) ? undefined : error
    }
  }
  const [first = '', ...others] = names
  const instead = others.length > 0 ? ` (or ${others.join(', or ')})` : ''
  throw new ConfigurationError(
    cause === undefined
      ? `${what} needs the package ${first}${instead}, which is not installed: npm install ${first}`
      : `${what} needs the package ${first}${instead}, which cannot be loaded`,
    { cause },
  )
}

async function loaded(name: DriverName): Promise<unknown> {
  try {
    return await loaders[name]()
  } catch (error) {
    if (!isMissing(error)) throw error
    return requiredByProgram(name)
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
}

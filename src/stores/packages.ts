import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { ConfigurationError } from '../errors.ts'

/**
 * An optional package that `user`, a store's function, needs. It is required then, since nobody else needs it.
 * @throws {ConfigurationError} if it is not installed or does not load.
 */
export function neededPackage<T>(user: string, name: string, load: () => T): T {
  try {
    return load()
  } catch (error) {
    try {
      return requiredByProgram(name) as T
    } catch {
      const isMissing = (error as { code?: unknown }).code === 'MODULE_NOT_FOUND'
      const what = isMissing ? `is not installed: npm install ${name}` : 'cannot be loaded'
      throw Object.assign(new ConfigurationError(`${user} needs the package ${name}, which ${what}`), {
        cause: error,
      })
    }
  }
}

/** From the program's place: an ECMAScript bundle has no `require`, and packages it leaves out are not where ours was. */
export function requiredByProgram(name: string): unknown {
  const here = process.cwd()
  const require = createRequire(`${here}/`)
  return require(require.resolve(name, { paths: [dirname(process.argv[1] ?? here), here] }))
}

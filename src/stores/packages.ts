import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { ConfigurationError } from '../errors.ts'

/**
 * Loads an optional package that `user`, the function of a store, needs.
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

/** Resolves from the program's folder: in a bundle, this file's own folder is gone, and so is its `node_modules`. */
export function requiredByProgram(name: string): unknown {
  const here = process.cwd()
  const require = createRequire(`${here}/`)
  return require(require.resolve(name, { paths: [dirname(process.argv[1] ?? here), here] }))
}

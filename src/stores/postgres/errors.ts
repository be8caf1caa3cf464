import { ConfigurationError, SessionError, StoreUnavailableError } from '../../errors.ts'

/**
 * Whether the server has said so and has certainly done nothing. An ERROR undoes the transaction, except where its code says that
 * nobody knows. FATAL is also what poolers say when they have lost the server, and PANIC may come from the flush of a commit, which
 * recovery then finds: they are certain only with codes of those who were not let in, so that no statement ran. The package pg gives
 * a severity in the server's language; that of an ERROR in another one looks like any other and is not believed either.
 */
export function isRefusal(error: unknown): boolean {
  const state = stateOf(error)
  if (state === undefined) return false
  const { severity } = error as { readonly severity: unknown }
  return severity === 'ERROR' ? !/^(?:08|40003)/.test(state) : /^(?:28|3D000|53300|57P03)/.test(state)
}

/**
 * The SQLSTATE of an answer (https://www.postgresql.org/docs/current/errcodes-appendix.html). Codes of clients are words, or of
 * other length.
 */
function stateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('severity' in error) || !('code' in error))
    return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

/** Serialization failure and deadlock: the same statement may succeed when the other one is over. */
export function isLost(error: unknown): boolean {
  const state = stateOf(error)
  return state === '40001' || state === '40P01'
}

/** What comes from a pooler that gives each transaction another connection: no such statement there, or already one. */
export function isUnknownStatement(error: unknown): boolean {
  const state = stateOf(error)
  return state === '26000' || state === '42P05'
}

/**
 * Nothing in place of the rows of several sessions where the server may have met one that it cannot read, a value that it cannot
 * convert or a file that is damaged: it does not say which. Throws what else has failed.
 */
export function noneOfData(error: unknown): undefined {
  const state = error instanceof StoreUnavailableError ? stateOf(error.cause) : undefined
  if (state === undefined || !/^(?:0A|22|54|58|XX)/.test(state)) throw error
}

/** No row where the server could not convert what is stored of one session (class 22, data exception), which is then damaged. */
export function noneOfDamaged(error: unknown): readonly [] {
  const state = error instanceof StoreUnavailableError ? stateOf(error.cause) : undefined
  if (!state?.startsWith('22')) throw error
  return []
}

/** No such table, schema, column, function. */
const missing = new Set(['42P01', '3F000', '42703', '42883'])

/** A client's error as an error of this library. */
export function failureOf(error: unknown, outcome: StoreUnavailableError['outcome']): Error {
  if (error instanceof SessionError) return error
  const state = stateOf(error)
  if (state !== undefined && missing.has(state)) {
    return Object.assign(
      new ConfigurationError(
        'PostgreSQL lacks the tables of the session store, or they are of another version: call sessions.ensureIndex() each time ' +
          'the app starts, or have a migration run what schemaOf() gives',
      ),
      { cause: error },
    )
  }
  const what =
    state === undefined
      ? 'PostgreSQL could not be reached, or did not confirm'
      : `PostgreSQL ${outcome === 'none' ? 'refused' : 'did not confirm'} (SQLSTATE ${state})`
  return new StoreUnavailableError(what, outcome, { cause: error })
}

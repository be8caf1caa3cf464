import {
  CommandError,
  ConfigurationError,
  FieldError,
  HeadersSentError,
  IdTakenError,
  InvalidCSRFTokenError,
  SessionEndedError,
  SessionError,
  SessionTooLargeError,
  StoreUnavailableError,
} from './core/errors.ts'
import { joined } from './core/joining.ts'
import type { DefaultData } from './core/types.ts'
import type { UserValue } from './core/usertypes.ts'
import { sessionWith } from './koa/install.ts'
import type { Sessions as AnySessions } from './koa/sessions.ts'
import type { MongoDBCollection } from './stores/mongodb/collection.ts'
import { mongoStore } from './stores/mongodb/store.ts'

export type { Change, Comparator, Guard, Operation, PushModifiers } from './core/change.ts'
export type { CreateOptions } from './core/creation.ts'
export type { AnySessionError } from './core/errors.ts'
export type { LifecycleEvent, StoreCall } from './core/events.ts'
export type { JoinableStore, Loaded, Read, Update } from './core/joining.ts'
export type { Path, PathLike } from './core/paths.ts'
export type { SessionId, SessionRecord, Tombstone } from './core/record.ts'
export type { Answer, Applied, Excerpt, Outcome, Store } from './core/store.ts'
export type {
  AnySession,
  Chain,
  DefaultData,
  GuardedChain,
  LoadedSession,
  LoadOptions,
  PathTo,
  PlainFields,
  RegenerateOptions,
  SessionData,
  SessionFields,
  SessionHandle,
  Untyped,
  ValidData,
  ValueAt,
} from './core/types.ts'
export type { Fields } from './core/values.ts'
export type { CookieOptions } from './koa/cookie-options.ts'
export type { CSRFOptions } from './koa/csrf.ts'
export type { SessionContext } from './koa/install.ts'
export type { OnceStored, SessionOptions } from './koa/options.ts'
export type { CreatedSession, EndAllOptions, FoundSession } from './koa/sessions.ts'
export type { MongoDBCollection } from './stores/mongodb/collection.ts'
export type { MongoDBStoreOptions } from './stores/mongodb/store.ts'

/** What `Session(app)` returns. */
export type Sessions<Data = DefaultData, User extends string = string> = AnySessions<
  Data,
  MongoDBCollection,
  UserValue<Data, User>
>

const named = {
  CommandError,
  ConfigurationError,
  FieldError,
  HeadersSentError,
  IdTakenError,
  InvalidCSRFTokenError,
  joined,
  mongoStore,
  SessionEndedError,
  SessionError,
  SessionTooLargeError,
  StoreUnavailableError,
}

/** The function itself, with the rest of the module as its properties, so that `require()` gives both. */
const Session = Object.assign(
  sessionWith((collection: MongoDBCollection) => mongoStore({ collection })),
  named,
)
// TypeScript's `import Session` without `esModuleInterop` becomes `require('koa-atomic-session').default`.
Object.assign(Session, { default: Session })

export {
  CommandError,
  ConfigurationError,
  FieldError,
  HeadersSentError,
  IdTakenError,
  InvalidCSRFTokenError,
  joined,
  mongoStore,
  Session as default,
  Session as 'module.exports',
  SessionEndedError,
  SessionError,
  SessionTooLargeError,
  StoreUnavailableError,
}

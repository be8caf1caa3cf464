import * as errors from './errors.ts'
import { type KoaSessions, sessionWith } from './koa/install.ts'
import type { DefaultData } from './session/types.ts'
import { joined } from './store/joining.ts'
import type { MongoDBCollection } from './stores/mongodb/collection.ts'
import { mongoStore } from './stores/mongodb/store.ts'

export * from './errors.ts'
export type { LifecycleEvent, StoreCall } from './events.ts'
export type { CookieOptions } from './http/cookie-options.ts'
export type { CSRFOptions } from './http/csrf.ts'
export type { OnceStored } from './http/options.ts'
export type { CreatedSession } from './http/unsent-cookies.ts'
export type { EndAllOptions, FoundSession } from './http/users.ts'
export type { SessionId } from './ids.ts'
export type { SessionContext, SessionOptions } from './koa/install.ts'
export type { Change, Comparator, Guard, Operation, PushModifiers } from './language/change.ts'
export type { Path, PathLike } from './language/paths.ts'
export type { Fields } from './language/values.ts'
export type { CreateOptions } from './session/creation.ts'
export type {
  AnySession,
  Chain,
  DefaultData,
  GuardedChain,
  LoadedSession,
  LoadOptions,
  OnceOptions,
  PathTo,
  PlainFields,
  RegenerateOptions,
  SessionData,
  SessionFields,
  SessionHandle,
  SessionMembers,
  Untyped,
  ValidData,
  ValueAt,
} from './session/types.ts'
export type { JoinableReads, JoinableStore, Loaded, Read, Update } from './store/joining.ts'
export type { SessionRecord, Tombstone } from './store/record.ts'
export type { Answer, Applied, Excerpt, Outcome, Store } from './store/store.ts'
export type { MongoDBCollection } from './stores/mongodb/collection.ts'
export type { MongoDBStoreOptions } from './stores/mongodb/store.ts'

/** What `Session(app)` returns. */
export type Sessions<Data = DefaultData, User extends string = string> = KoaSessions<
  Data,
  MongoDBCollection,
  User
>

const withExports = Object.assign(
  sessionWith((collection: MongoDBCollection) => mongoStore({ collection })),
  errors,
  { joined, mongoStore },
)

/**
 * The function, with the module's other exports as its properties, so that `require()` gives both. TypeScript's `import Session`
 * without `esModuleInterop` becomes `require('koa-atomic-session').default`.
 */
const Session: typeof withExports & {
  readonly default: typeof withExports
  readonly 'module.exports': typeof withExports
} = Object.assign(withExports, { default: withExports, 'module.exports': withExports })

export { joined, mongoStore, Session as default, Session as 'module.exports' }

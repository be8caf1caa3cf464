import { factoryOptions } from '../../language/calloptions.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { literalText, type Names, namesOf, SCHEMA_VERSION, type TableOptions } from './names.ts'

export interface SchemaOptions extends TableOptions {
  /** Unlogged tables: changes are faster, but PostgreSQL empties them after a crash, and standbys lack them. @default false */
  readonly unlogged?: boolean
  /** The field that holds the session's user, as the option `user` of `Session`: it gets an index. */
  readonly user?: Path
}

/**
 * The SQL that creates the tables and indexes of `postgresStore`, for migrations. Use it if the app may not create tables. It may run
 * repeatedly. `ensureIndex` runs the same SQL if something is missing.
 * @throws {ConfigurationError} if a name is not valid in PostgreSQL.
 */
export function schemaOf(options: SchemaOptions = {}): string {
  const given = factoryOptions('schemaOf', options, ['schema', 'table', 'unlogged', 'user'])
  const names = namesOf(given)
  const parts = [tables(names, given.unlogged ?? false)]
  if (given.user !== undefined) parts.push(userIndex(names, given.user))
  return parts.join('\n')
}

function tables(names: Names, unlogged: boolean): string {
  const table = `CREATE ${unlogged ? 'UNLOGGED ' : ''}TABLE IF NOT EXISTS`
  return `-- Several processes may run this at once.
SELECT pg_advisory_xact_lock(${names.locks.schema});
DO $$ BEGIN
  IF to_regnamespace(${literalText(names.schema)}) IS NULL THEN CREATE SCHEMA ${names.schema}; END IF;
END $$;
-- A session, or what is left of one that has ended. max_age: milliseconds. small: the fields up to a KiB; large: the names of
-- the others, and their lengths. No index on what each change alters: its row then stays where it is.
${table} ${names.sessions} (
  id text COLLATE "C" PRIMARY KEY,
  created timestamptz NOT NULL,
  expires timestamptz NOT NULL,
  absolute timestamptz,
  max_age bigint NOT NULL,
  rev bigint NOT NULL,
  size bigint NOT NULL,
  ended timestamptz,
  next text,
  user_key text COLLATE "C",
  sweep_at timestamptz NOT NULL,
  small jsonb NOT NULL,
  large jsonb NOT NULL
) WITH (fillfactor = 70);
-- A larger field: the text of JSON or, if JSON lacks one of its values, BSON.
${table} ${names.fields} (
  id text COLLATE "C" NOT NULL REFERENCES ${names.sessions} ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  v bytea NOT NULL,
  PRIMARY KEY (id, name)
);
ALTER TABLE ${names.fields} ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS ${names.meta} (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version integer NOT NULL,
  user_path text
);
INSERT INTO ${names.meta} (version) VALUES (${SCHEMA_VERSION}) ON CONFLICT DO NOTHING;
CREATE INDEX IF NOT EXISTS ${names.sweepIndex} ON ${names.sessions} (sweep_at);
`
}

/** By one path, which is the last that was given. */
export function userIndex(names: Names, user: Path): string {
  return `UPDATE ${names.meta} SET user_path = ${literalText(partsOf(user).join('.'))};
CREATE INDEX IF NOT EXISTS ${names.userIndex} ON ${names.sessions} (user_key);
`
}

export const help = `koa-atomic-session: look after the sessions of an app

  koa-atomic-session COMMAND [STORE] [OPTIONS]

STORE is mongodb://…, redis://…, rediss://… or postgres://…, or the name of an SQLite file. Without it, the variable
SESSION_STORE says it: then no password is in the list of processes, nor in the shell's history.

Commands
  count [STORE]             how many sessions there are
  show ID [STORE]           one session; its fields are masked unless --values is given
  end ID [STORE]            ends one session
  end --user U [STORE]      ends all sessions of a user; asks first unless --yes is given
  sweep [STORE]             removes expired sessions that are still stored
  schema [FORM]             PostgreSQL's tables as sql, drizzle or prisma
  keys                      a new random key for app.keys

Options
  --json                    prints one JSON document
  --values                  show: prints the fields' values too
  --user U                  end: the user, as text, number, ObjectId or UUID
  --field NAME              end, schema: the field that names the user, as the app's option user has it
  --yes                     end: does not ask
  --collection NAME         MongoDB's collection (sessions)
  --prefix PREFIX           Redis's prefix (session:)
  --schema NAME             PostgreSQL's schema (public)
  --table NAME              PostgreSQL's table (sessions)
  --unlogged                schema: tables that a crash empties
  --help, --version

Exit codes
  0  done, and nothing is wrong
  1  there is no such session, or nothing was done because somebody said no
  2  it failed
  64 the command line is wrong, and nothing was done
`

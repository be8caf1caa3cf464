export const help = `koa-atomic-session: look after the sessions of an app

  koa-atomic-session COMMAND [STORE] [OPTIONS]

STORE is mongodb://…, redis://…, rediss://… or postgres://…, or the name of an SQLite file. Without it, the variable
SESSION_STORE says it: then no password is in the list of processes, nor in the shell's history.

Commands
  doctor [STORE]            looks for mistakes, in the store and, with --app, in the app's cookie
  count [STORE]             how many sessions there are
  show ID [STORE]           one session; its fields are masked unless --values is given
  end ID [STORE]            ends one session
  end --user U [STORE]      ends all sessions of a user; asks first unless --yes is given
  sweep [STORE]             removes expired sessions that are still stored
  schema [FORM]             PostgreSQL's tables as sql, drizzle or prisma
  keys                      a new random key for app.keys

Options
  --json                    prints one JSON document
  --app URL                 doctor: a page of the app that writes to the session
  --cookie NAME             doctor: the cookie's name, where the app sets several
  --timeout DURATION        doctor: the app's option timeout (5s)
  --skip CHECK,…            doctor: what not to look at, such as waits
  --values                  show: prints the fields' values too
  --user U                  end: the user, as text, number, ObjectId or UUID
  --field NAME              doctor, end, schema: the field that names the user, as the app's option user has it
  --yes                     end: does not ask
  --collection NAME         MongoDB's collection (sessions)
  --prefix PREFIX           Redis's prefix (session:)
  --schema NAME             PostgreSQL's schema (public)
  --table NAME              PostgreSQL's table (sessions)
  --unlogged                schema: tables that a crash empties
  --help, --version

Exit codes
  0  done, and nothing is wrong
  1  doctor has warnings; there is no such session; or somebody said no
  2  doctor has errors; or the command failed
  64 the command line is wrong, and nothing was done
`

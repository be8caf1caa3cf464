export const help = `koa-atomic-session: look after the sessions of an app

  koa-atomic-session COMMAND [STORE] [OPTIONS]

STORE is mongodb://…, redis://…, rediss://… or postgres://…, or the name of an SQLite file. Without it, the variable
SESSION_STORE is used: then no password is in the list of processes, nor in the shell's history.

Commands
  doctor [STORE]            finds mistakes in the setup of the store and, with --app, of the app's cookie
  count [STORE]             prints the number of sessions
  show ID [STORE]           prints one session; its fields are masked unless --values is given
  end ID [STORE]            ends one session
  end --user U [STORE]      ends all sessions of a user; asks first unless --yes is given
  sweep [STORE]             removes expired sessions that are still stored
  schema [FORM]             prints PostgreSQL's tables as sql, drizzle or prisma
  keys                      prints a new random key for app.keys

Options
  --json                    prints one JSON document
  --app URL                 doctor: a page of the app that writes to the session
  --cookie NAME             doctor: the cookie's name, if the app sets several
  --timeout DURATION        doctor: the app's option timeout (5s)
  --skip CHECK,…            doctor: checks to leave out, such as waits
  --values                  show: prints the fields' values too
  --user U                  end: the user: a string, number, ObjectId or UUID
  --field NAME              doctor, end, schema: the field of the user, as in the app's option user
  --yes                     end: does not ask
  --collection NAME         MongoDB's collection (sessions)
  --prefix PREFIX           Redis's prefix (session:)
  --schema NAME             PostgreSQL's schema (public)
  --table NAME              PostgreSQL's table (sessions)
  --unlogged                schema: unlogged tables, which PostgreSQL empties after a crash
  --help, --version

Exit codes
  0  done, and nothing is wrong
  1  doctor has warnings; there is no such session; or the question was answered with no
  2  doctor has errors; or the command failed
  64 the command line is wrong, and nothing was done
`

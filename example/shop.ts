import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { shopApp } from './app.ts'
import { signingKeys } from './keys.ts'
import { openDatabase } from './store.ts'

// Settings: HOST, PORT, DATA_FOLDER, SESSION_KEYS, and one of MONGODB_URI, DATABASE_URL and REDIS_URL.
const { HOST, PORT, DATA_FOLDER, SESSION_KEYS } = process.env
const folder = DATA_FOLDER || fileURLToPath(new URL('../data', import.meta.url))
const variable = ['MONGODB_URI', 'DATABASE_URL', 'REDIS_URL'].find(name => process.env[name])

const port = Number(PORT || 3000)
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  refuse(`PORT is ${PORT}. Give a number from 0 to 65535, as in PORT=3000 npm start`)
}

const closing = new AbortController()
const { database, app, sessions, runner } = await open().catch(error =>
  refuse(
    variable
      ? `${reasonOf(error)}. Start the database, correct ${variable}, or leave it out to keep sessions in files`
      : `${reasonOf(error)}. Move it away, or choose another folder, as in DATA_FOLDER=/tmp/shop npm start`,
  ),
)

const server = createServer(app.callback()).listen(port, HOST || 'localhost')
await once(server, 'listening').catch(error =>
  refuse(
    error.code === 'EADDRINUSE'
      ? `port ${port} is taken. Stop what uses it, or choose another one, as in PORT=${port + 1} npm start`
      : `${reasonOf(error)}. Choose another PORT or HOST`,
  ),
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)
const { port: opened } = server.address() as AddressInfo
console.log(`The shop is open at http://localhost:${opened} (sessions in ${database.name})`)

async function open() {
  const database = await openDatabase(variable && process.env[variable], folder)
  const parts = shopApp(database, signingKeys(SESSION_KEYS, folder), closing.signal)
  // Expired sessions are refused without the indexes too; finding a user's devices needs one.
  await parts.sessions.ensureIndex()
  return { database, ...parts }
}

function refuse(reason: string): never {
  console.error(`The shop cannot open: ${reason}`)
  process.exit(1)
}

/** An error's message, and those of what caused it. */
function reasonOf(error: unknown): string {
  const reasons = new Set<string>()
  for (let at = error; at instanceof Error; at = at.cause) {
    reasons.add(at.message || ('code' in at ? String(at.code) : at.name))
  }
  const [first, ...others] = reasons
  return others.length > 0 ? `${first} (${others.join('; ')})` : String(first)
}

/** Answers what is under way, then lets go of everything. */
async function close(): Promise<void> {
  console.log('The shop closes')
  closing.abort()
  server.close()
  await sessions.close()
  // Browsers keep connections open for a next request.
  server.closeAllConnections()
  await runner.close()
  await database.close()
}

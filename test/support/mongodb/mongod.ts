import { spawn } from 'node:child_process'
import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = fileURLToPath(new URL('../../../node_modules/.cache/mongodb-memory-server/', import.meta.url))

/** How long a download may take to begin, and then to show that it goes on. */
const TO_BEGIN_MS = 8_000
const TO_GO_ON_MS = 60_000

/** Whoever sets this to `false` wants no download; so does this run once one has failed. */
const DOWNLOAD = 'MONGOMS_RUNTIME_DOWNLOAD'

export interface Mongod {
  uri: string
  stop(): Promise<void>
}

/** A real mongod from mongodb-memory-server, or nothing where it has none and can get none. */
export async function startMongod(): Promise<Mongod | undefined> {
  const library = await import('mongodb-memory-server').catch(() => undefined)
  if (library === undefined) return undefined

  const options = library.DryMongoBinary.getEnsuredOptions({ downloadDir: cache })
  // It throws where it has no build for this machine.
  const isThere = async () => {
    const path = await library.DryMongoBinary.locateBinary(options).catch(() => undefined)
    return path !== undefined
  }
  if (!(await isThere()) && !((await download()) && (await isThere()))) return undefined

  // Not through MongoMemoryServer alone: where it has to download first it retries, reports each failure at
  // length and leaves a database folder behind.
  const server = await library.MongoMemoryServer.create({
    binary: options,
    instance: { ip: '127.0.0.1' },
  })
  return {
    uri: server.getUri(),
    stop: async () => {
      await server.stop()
    },
  }
}

/** In a process of its own, because the library has no way to give a download up. */
async function download(): Promise<boolean> {
  if (process.env[DOWNLOAD] === 'false') return false

  const before = await entries()
  const downloaded = await runDownload()
  if (!downloaded) {
    process.env[DOWNLOAD] = 'false'
    const added = (await entries()).filter(entry => !before.includes(entry))
    await Promise.all(added.map(entry => rm(join(cache, entry), { recursive: true, force: true })))
    // Only where it is empty now.
    await rmdir(cache).catch(() => undefined)
  }
  return downloaded
}

function runDownload(): Promise<boolean> {
  const script = `
    const { MongoBinary } = await import('mongodb-memory-server')
    await MongoBinary.getPath({ downloadDir: process.argv[1] })
  `
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script, cache], {
      cwd: here,
      stdio: ['ignore', 'pipe', 'ignore'],
      // Without the second one the library accepts any certificate.
      env: { ...process.env, MONGOMS_MAX_RETRIES: '1', npm_config_strict_ssl: 'true' },
    })
    const giveUp = () => child.kill('SIGKILL')
    let timer = setTimeout(giveUp, TO_BEGIN_MS)
    child.stdout.once('data', () => console.log('MongoDB for tests: downloading mongod'))
    child.stdout.on('data', () => {
      clearTimeout(timer)
      timer = setTimeout(giveUp, TO_GO_ON_MS)
    })
    const end = (downloaded: boolean) => {
      clearTimeout(timer)
      resolve(downloaded)
    }
    child.once('error', () => end(false))
    child.once('close', code => end(code === 0))
  })
}

function entries(): Promise<string[]> {
  return readdir(cache).catch(() => [])
}

import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = fileURLToPath(new URL('../../../node_modules/.cache/mongo-java-server/', import.meta.url))
const pom = join(here, 'pom.xml')
const launcher = join(here, 'Launcher.java')

/** Filling an empty Maven repository takes a while. */
const TO_FETCH_MS = 180_000
const TO_START_MS = 30_000

const JAVA_OPTIONS = [
  '-Dio.netty.eventLoopThreads=1',
  '-Dslf4j.internal.verbosity=ERROR',
  '-XX:TieredStopAtLevel=1',
  '-XX:+UseSerialGC',
  '-Xmx512m',
]

export interface JavaServer {
  uri: string
  version: string
  stop(): Promise<void>
}

/** Throws, saying what is missing, where there is no Java, no Maven or nothing to fetch the server from. */
export async function startJavaServer(): Promise<JavaServer> {
  const folder = await prepare()
  const classPath = [join(folder, 'lib', '*'), join(folder, 'classes')].join(delimiter)
  const child = spawn('java', [...JAVA_OPTIONS, '-cp', classPath, 'Launcher'], { stdio: 'pipe' })
  const exited = new Promise<void>(resolve => child.once('close', () => resolve()))
  const stop = () => {
    child.kill('SIGKILL')
    return exited
  }

  try {
    const port = await portOf(child)
    return { uri: `mongodb://127.0.0.1:${port}`, version: await versionOfServer(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function portOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  let output = ''
  let complaints = ''
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer)
      reject(new Error(`the Java server ${why} ${complaints}`.trim()))
    }
    const timer = setTimeout(() => fail('did not start in time'), TO_START_MS)
    child.stdout.on('data', data => {
      output += data
      const port = /^READY (\d+)$/m.exec(output)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      resolve(port)
    })
    child.stderr.on('data', data => {
      complaints = `${complaints}${data}`.slice(-2_000)
    })
    child.once('error', error => fail(`could not be started: ${error.message}`))
    child.once('close', () => fail('ended at once'))
  })
}

async function versionOfServer(): Promise<string> {
  const found = /<artifactId>mongo-java-server<\/artifactId>\s*<version>(.+?)</.exec(
    await readFile(pom, 'utf8'),
  )
  return found?.[1] ?? 'of unknown version'
}

/** The folder with the server's jars and the compiled launcher, made once for each version of either. */
async function prepare(): Promise<string> {
  const key = createHash('sha256')
  for (const file of [pom, launcher]) key.update(await readFile(file))
  const folder = join(cache, key.digest('hex').slice(0, 12))
  if (existsSync(folder)) return folder

  // Renamed when it is whole, so that neither a broken attempt nor another run is ever taken for the result.
  const unfinished = `${folder}.${process.pid}`
  const lib = join(unfinished, 'lib')
  try {
    await mkdir(lib, { recursive: true })
    await command('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${lib}`])
    await command('javac', ['-cp', join(lib, '*'), '-d', join(unfinished, 'classes'), launcher])
    await rename(unfinished, folder)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}

async function command(name: string, args: string[]): Promise<void> {
  try {
    await run(name, args, { timeout: TO_FETCH_MS })
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
    if (code === 'ENOENT') throw new Error(`${name} is not installed`)
    throw new Error(`${name} failed: ${`${stdout ?? ''}${stderr ?? ''}`.slice(0, 1_000)}`)
  }
}

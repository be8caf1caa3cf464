import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What survives the loss of power is a page of a file, or it is not there at all. */
const PAGE = 4096
const CALLS = 'openat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,unlink'

/** The database, and its log. */
export type FileName = 'db' | 'wal'

/** What a program did to the files, and told on its standard output, in order. */
export type Step =
  | { readonly does: 'write'; readonly file: FileName; readonly at: number; readonly bytes: Buffer }
  | { readonly does: 'truncate'; readonly file: FileName; readonly size: number }
  | { readonly does: 'flush'; readonly file: FileName }
  | { readonly does: 'tell'; readonly text: string }

/** Runs a program of Node's under strace, whose output goes to `folder`, and returns what its main thread did to the database. */
export async function stepsOf(program: readonly string[], database: string, folder: string): Promise<Step[]> {
  const args = ['-ff', '-xx', '-y', '-s', '1000000', '-e', `trace=${CALLS}`, '-o', join(folder, 'thread')]
  await promisify(execFile)('strace', [...args, process.execPath, ...program])
  const threads = readdirSync(folder).map(name => readFileSync(join(folder, name), 'latin1').split('\n'))
  // Only the main one writes to the standard output.
  const main = threads.find(lines => lines.some(line => line.startsWith('write(1<'))) ?? []
  return main.flatMap(line => stepOf(line, database) ?? [])
}

function stepOf(line: string, database: string): Step | undefined {
  const [, call, fd = '', path = ''] = /^(\w+)\((\w+)<([^>]*)>/.exec(line) ?? []
  if (call === 'write' && fd === '1') return { does: 'tell', text: String(bytesIn(line)) }
  const name = String(unescaped(path))
  const file = name === database ? 'db' : name === `${database}-wal` ? 'wal' : undefined
  if (!call || !file) return undefined
  const [, result] = /\)\s+= (\d+)$/.exec(line) ?? []
  if (call === 'fsync' || call === 'fdatasync') return { does: 'flush', file }
  const [, last] = /, (\d+)\)\s+=/.exec(line) ?? []
  if (call === 'ftruncate') return { does: 'truncate', file, size: Number(last) }
  const bytes = bytesIn(line)
  if (call === 'pwrite64' && bytes.length === Number(result)) {
    return { does: 'write', file, at: Number(last), bytes }
  }
  throw new Error(`Not understood: ${line.slice(0, 200)}`)
}

/** Of a call that writes, what it writes. */
function bytesIn(line: string): Buffer {
  return Buffer.concat([...line.matchAll(/"([^"]*)"/g)].map(([, text = '']) => unescaped(text)))
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

/** Makes of a file's bytes what they are then. */
type Alteration = (bytes: Buffer) => Buffer

/** What a disk has of a file: surely, and perhaps. */
export class FileOnDisk {
  #sure: Buffer
  #perhaps: Alteration[] = []

  constructor(sure: Buffer) {
    this.#sure = Buffer.from(sure)
  }

  flush(): void {
    this.#sure = this.#perhaps.reduce((bytes, alter) => alter(bytes), this.#sure)
    this.#perhaps = []
  }

  truncate(size: number): void {
    this.#perhaps.push(bytes =>
      size <= bytes.length
        ? bytes.subarray(0, size)
        : Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]),
    )
  }

  write(at: number, bytes: Buffer): void {
    for (let from = at; from < at + bytes.length; ) {
      const to = Math.min((Math.floor(from / PAGE) + 1) * PAGE, at + bytes.length)
      const [start, part] = [from, bytes.subarray(from - at, to - at)]
      this.#perhaps.push(file => put(file, start, part))
      from = to
    }
  }

  /** What is found once power is back. `survives` decides of each page, and each new length, that was not flushed. */
  afterPowerLoss(survives: () => boolean): Buffer {
    return this.#perhaps.reduce((bytes, alter) => (survives() ? alter(bytes) : bytes), this.#sure)
  }
}

function put(file: Buffer, at: number, bytes: Buffer): Buffer {
  const whole = Buffer.alloc(Math.max(file.length, at + bytes.length))
  file.copy(whole)
  bytes.copy(whole, at)
  return whole
}

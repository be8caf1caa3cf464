import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What survives the loss of power is a page, or it is not there at all. */
const PAGE = 4096
const CALLS = 'openat,lseek,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync'

/** What a program did to a file, and told on its standard output, in order. */
export type Step =
  | { readonly does: 'write'; readonly at: number; readonly bytes: Buffer; readonly isFlushed: boolean }
  | { readonly does: 'flush' }
  | { readonly does: 'tell'; readonly text: string }

/** Runs a program of Node's under strace, whose output goes to `folder`, and returns what its main thread did to `file`. */
export async function stepsOf(program: readonly string[], file: string, folder: string): Promise<Step[]> {
  const args = ['-ff', '-xx', '-y', '-s', '1000000', '-e', `trace=${CALLS}`, '-o', join(folder, 'thread')]
  await promisify(execFile)('strace', [...args, process.execPath, ...program])
  const [first] = readdirSync(folder).sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]))
  const calls = new Calls(file)
  return readFileSync(join(folder, first as string), 'latin1')
    .split('\n')
    .flatMap(line => calls.stepOf(line) ?? [])
}

/** Reads strace's lines, in order. */
class Calls {
  readonly #file: string
  /** Descriptors whose writes are flushed at once. */
  readonly #synchronous = new Set<string>()
  /** Where in the file each descriptor is. */
  readonly #positions = new Map<string, number>()

  constructor(file: string) {
    this.#file = file
  }

  stepOf(line: string): Step | undefined {
    const [, call, fd = '', path = ''] = /^(\w+)\((\w+)<([^>]*)>/.exec(line) ?? []
    if (call === 'openat') this.#open(line)
    else if (call === 'write' && fd === '1') return { does: 'tell', text: String(bytesIn(line)) }
    else if (call && String(unescaped(path)) === this.#file) return this.#stepOf(call, fd, line)
    return undefined
  }

  #open(line: string): void {
    const [, fd] = /= (\d+)</.exec(line) ?? []
    if (!fd) return
    if (/O_D?SYNC/.test(line)) this.#synchronous.add(fd)
    else this.#synchronous.delete(fd)
  }

  #stepOf(call: string, fd: string, line: string): Step | undefined {
    const [, result] = /\)\s+= (\d+)$/.exec(line) ?? []
    const isFlushed = this.#synchronous.has(fd)
    const bytes = bytesIn(line)
    if (call === 'fsync' || call === 'fdatasync') return { does: 'flush' }
    if (call === 'lseek') {
      this.#positions.set(fd, Number(result))
      return undefined
    }
    if (bytes.length === Number(result) && call === 'pwrite64') {
      const [, at] = /, (\d+)\)\s+=/.exec(line) ?? []
      return { does: 'write', at: Number(at), bytes, isFlushed }
    }
    const at = this.#positions.get(fd)
    if (bytes.length === Number(result) && call === 'writev' && at !== undefined) {
      this.#positions.set(fd, at + bytes.length)
      return { does: 'write', at, bytes, isFlushed }
    }
    throw new Error(`Not understood: ${line.slice(0, 200)}`)
  }
}

/** Of a call that writes, what it writes. */
function bytesIn(line: string): Buffer {
  return Buffer.concat([...line.matchAll(/"([^"]*)"/g)].map(([, text = '']) => unescaped(text)))
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

/** What a disk has of a file: surely, and perhaps. */
export class Disk {
  #sure: Buffer
  #perhaps: { readonly at: number; readonly bytes: Buffer }[] = []

  constructor(sure: Buffer) {
    this.#sure = Buffer.from(sure)
  }

  take(step: Step): void {
    if (step.does === 'flush') {
      for (const { at, bytes } of this.#perhaps) this.#sure = put(this.#sure, at, bytes)
      this.#perhaps = []
    } else if (step.does === 'write' && step.isFlushed) {
      this.#sure = put(this.#sure, step.at, step.bytes)
    } else if (step.does === 'write') {
      for (let from = 0; from < step.bytes.length; from += PAGE) {
        this.#perhaps.push({ at: step.at + from, bytes: step.bytes.subarray(from, from + PAGE) })
      }
    }
  }

  /** What is found once power is back. `survives` decides of each page that was not flushed. */
  afterPowerLoss(survives: () => boolean): Buffer {
    let found: Buffer = Buffer.from(this.#sure)
    for (const { at, bytes } of this.#perhaps) if (survives()) found = put(found, at, bytes)
    return found
  }
}

function put(file: Buffer, at: number, bytes: Buffer): Buffer {
  const end = at + bytes.length
  const whole = end > file.length ? Buffer.concat([file, Buffer.alloc(end - file.length)]) : file
  bytes.copy(whole, at)
  return whole
}

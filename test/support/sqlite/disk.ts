import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MiB = 1024 * 1024

export const withoutDisks = !canMount() && 'NOT TESTED: full disks, for which only root may make a small one'

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'disk-'))
  const isDone = spawnSync('mount', ['-t', 'tmpfs', 'none', folder]).status === 0
  if (isDone) spawnSync('umount', [folder])
  rmSync(folder, { recursive: true })
  return isDone
}

/** A small disk, and another program that fills it. */
export class SmallDisk {
  readonly folder = mkdtempSync(join(tmpdir(), 'disk-'))
  readonly #filler = join(this.folder, 'filler')

  /** `ofOthers` of its bytes the other program has from the beginning. Both in MiB. */
  constructor(size: number, ofOthers = 0) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'none', this.folder])
    writeFileSync(this.#filler, Buffer.alloc(ofOthers * MiB))
  }

  /** Leaves no byte free. */
  fill(): void {
    const fd = openSync(this.#filler, 'a')
    try {
      for (const part of [Buffer.alloc(64 * 1024), Buffer.alloc(1)]) {
        try {
          for (;;) if (writeSync(fd, part) < part.length) break
        } catch {
          // It is full.
        }
      }
    } finally {
      closeSync(fd)
    }
  }

  /** Gives up all that the other program has. */
  release(): void {
    rmSync(this.#filler, { force: true })
  }

  remove(): void {
    // libsql closes its files with its garbage.
    execFileSync('umount', ['--lazy', this.folder])
    rmSync(this.folder, { recursive: true })
  }
}

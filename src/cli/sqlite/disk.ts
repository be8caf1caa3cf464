import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'

/** What a file is kept on, as far as it matters. */
export type Disk = 'memory' | 'network' | 'container' | 'disk'

/** As Linux numbers them (statfs(2)). */
const kinds = new Map<number, Disk>([
  [0x01021994, 'memory'], // tmpfs
  [0x858458f6, 'memory'], // ramfs
  [0x6969, 'network'], // NFS
  [0x517b, 'network'], // SMB
  [0xff534d42, 'network'], // CIFS
  [0xfe534d42, 'network'], // SMB 2
  [0x01021997, 'network'], // 9P
  [0x00c36400, 'network'], // Ceph
  [0x794c7630, 'container'], // overlayfs
])

export function diskOf(path: string): Disk {
  if (process.platform !== 'linux') return 'disk'
  return kinds.get(Number(statfsSync(dirname(path)).type) >>> 0) ?? 'disk'
}

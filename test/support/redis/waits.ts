import type { TestContext } from 'node:test'
import { FaultProxy, type Target } from '../proxy.ts'

export interface Watched {
  readonly port: number
  /** Of each WAIT for one replica since this was last asked, the milliseconds. */
  waits(): number[]
}

/** A way to a server that sees for how long its clients wait for a replica. */
export async function waitsAt(t: TestContext, server: Target): Promise<Watched> {
  let sent = ''
  const up = (chunk: Buffer) => {
    sent += chunk.toString('latin1')
    return chunk
  }
  const proxy = await FaultProxy.to(server, () => ({ up }))
  t.after(() => proxy.close())
  return {
    port: proxy.port,
    waits() {
      const waits = [...sent.matchAll(/WAIT\r\n\$1\r\n1\r\n\$\d+\r\n(\d+)/gi)]
      sent = ''
      return waits.map(([, ms]) => Number(ms))
    },
  }
}

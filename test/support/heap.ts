import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of memory that are still held after `act`, and were not before. */
export async function heldAfter(act: () => unknown): Promise<number> {
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  await act()
  collectGarbage()
  return process.memoryUsage().heapUsed - before
}

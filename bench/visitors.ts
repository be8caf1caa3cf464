import { setImmediate } from 'node:timers/promises'

// Requests at their times, from a process of its own: each message is one, and each answer ends one, in their order.
// A number lets them come so many milliseconds apart; 'stop' ends that and is answered with their latencies.

let isRunning = false
let latencies: number[] = []
const due: number[] = []

process.on('message', (message: number | 'stop' | 'answer') => {
  if (typeof message === 'number') void run(message)
  else if (message === 'stop') isRunning = false
  else latencies.push(performance.now() - (due.shift() as number))
})
process.once('disconnect', () => process.exit())

/** However long those before it take, a request is timed from when it should have come. */
async function run(between: number): Promise<void> {
  isRunning = true
  for (let next = performance.now(); isRunning; next += between) {
    while (performance.now() < next) await setImmediate()
    due.push(next)
    process.send?.('request')
  }
  while (due.length > 0) await setImmediate()
  process.send?.(latencies)
  latencies = []
}

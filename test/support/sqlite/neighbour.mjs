// A process that uses a session's file, as it is told. Plain JavaScript, run on the built package.
const [built, path, id] = process.argv.slice(2)
const { sqliteStore } = await import(built)
const store = sqliteStore({ path })
// On a busy machine a process may have to wait for the lock for long.
store.useTimeout(60_000)
const count = { guards: [], operations: [{ op: '$inc', path: 'n', arg: 1 }] }

/** Changes the session with so many clients, each as fast as it can, and tells how often it did in each of so many spans of time. */
async function compete({ clients, spans, milliseconds, at }) {
  while (Date.now() < at) await new Promise(resolve => setTimeout(resolve, 1))
  const begun = performance.now()
  const span = () => Math.floor((performance.now() - begun) / milliseconds)
  const made = new Array(spans).fill(0)
  const client = async () => {
    while (span() < spans) {
      await store.update(id, count)
      // What was begun in time counts for the last span.
      made[Math.min(span(), spans - 1)]++
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  process.send(made)
}

/** Is stopped in the middle of a transaction, as a debugger or the kernel may stop it. */
function stopWhileWriting() {
  const until = { guards: [], operations: [{ op: '$set', path: 'stopped', arg: true }] }
  store.update(
    id,
    Object.defineProperty(until, 'rev', { get: () => void process.kill(process.pid, 'SIGSTOP') }),
  )
}

process.on('message', message => {
  if (message === 'stop while writing') stopWhileWriting()
  else compete(message)
})
process.once('disconnect', () => process.exit())
process.send('ready')

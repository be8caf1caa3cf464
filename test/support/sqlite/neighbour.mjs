// A process that uses a session's file, as it is told. Plain JavaScript, run on the built package.
const [built, path, id] = process.argv.slice(2)
const { sqliteStore } = await import(built)
const store = sqliteStore({ path })
const count = { guards: [], operations: [{ op: '$inc', path: 'n', arg: 1 }] }

/** Changes the session for so long with so many clients, each as fast as it can, and tells how often each did. */
async function compete({ clients, milliseconds, at }) {
  while (Date.now() < at) await new Promise(resolve => setTimeout(resolve, 1))
  const end = performance.now() + milliseconds
  const made = await Promise.all(
    Array.from({ length: clients }, async () => {
      let changes = 0
      for (; performance.now() < end; changes++) await store.update(id, count)
      return changes
    }),
  )
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

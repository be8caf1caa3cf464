let isStopped = false

/** Whether this process has been told to end (Ctrl-C): the run that is under way is stopped, and no other one is to begin. */
export function isStopping(): boolean {
  return isStopped
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isStopped = true
  })
}

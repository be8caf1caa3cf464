#!/usr/bin/env node
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { censorOf } from './censor.ts'
import { toldOf } from './failure.ts'
import { printable } from './printable.ts'
import { run, type Terminal } from './run.ts'

const { stdin, stdout, stderr } = process

const terminal: Terminal = {
  env: process.env,
  isInteractive: stdin.isTTY === true && stderr.isTTY === true,
  print: text => void stdout.write(`${text.replace(/\n$/, '')}\n`),
  // A bar is written over by the next.
  tell: text => void stderr.write(text.startsWith('\r') ? text : `${text}\n`),
  async ask(question) {
    const lines = createInterface({ input: stdin, output: stderr })
    try {
      // Who ends the input answers nothing.
      const ended = once(lines, 'close').then(() => '')
      const answer = await Promise.race([lines.question(`${question} [y/N] `), ended])
      return /^y(?:es)?$/i.test(answer.trim())
    } finally {
      lines.close()
    }
  },
}

// As where the output is read by `head`.
stdout.on('error', () => {})

// Nothing to an operator: that SQLite is young in Node.js, and that a driver calls what is old. The latter may repeat an address.
const unheard = ['ExperimentalWarning', 'DeprecationWarning']
process.removeAllListeners('warning')
process.on('warning', warning => {
  if (unheard.includes(warning.name)) return
  stderr.write(`${warning.name}: ${printable(toldOf(warning, censorOf([])))}\n`)
})

process.exitCode = await run(process.argv.slice(2), terminal)

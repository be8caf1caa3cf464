import { run } from '../../src/cli/run.ts'

/** What a command has printed, and the code that it ends with. */
export interface Given {
  readonly code: number
  /** Of the command itself. */
  readonly printed: string
  /** For people alone. */
  readonly told: string
  /** The printed document. */
  readonly json: Record<string, unknown>
}

interface Person {
  readonly env?: NodeJS.ProcessEnv
  /** Without it nobody is there to be asked. */
  readonly answer?: boolean
  /** What they were asked. */
  readonly asked?: string[]
}

/** Gives a command as a person or a program would. */
export async function given(args: readonly string[], person: Person = {}): Promise<Given> {
  const { env = {}, answer, asked = [] } = person
  const printed: string[] = []
  const told: string[] = []
  const code = await run(args, {
    env,
    isInteractive: answer !== undefined,
    print: text => printed.push(text),
    tell: text => told.push(text),
    async ask(question) {
      asked.push(question)
      return answer === true
    },
  })
  return {
    code,
    printed: printed.join('\n'),
    told: told.join('\n'),
    get json() {
      return JSON.parse(printed.join('\n'))
    },
  }
}

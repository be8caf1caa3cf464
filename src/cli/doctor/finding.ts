import type { Path } from '../../language/paths.ts'
import type { Censor } from '../censor.ts'
import { toldOf } from '../failure.ts'

/** What is looked at, in this order. */
export const checks = [
  'connection',
  'names',
  'rights',
  'indexes',
  'durability',
  'eviction',
  'replicas',
  'waits',
  'clock',
  'expired',
  'records',
  'app',
  'cookie',
  'proxy',
  'hsts',
  'cache',
  'same-store',
] as const

export type CheckName = (typeof checks)[number]

/**
 * `error`: sessions get lost, or the app cannot work. `warning`: they may, under load, in a failure, or in time. `note`: worth
 * knowing, and no mistake.
 */
export type Severity = 'ok' | 'note' | 'warning' | 'error'

/** What is wrong, with what comes of it, and what to do. */
export interface Fault {
  readonly severity: Exclude<Severity, 'ok'>
  readonly message: string
  readonly advice: string
}

export interface Finding {
  readonly check: CheckName
  readonly severity: Severity
  readonly message: string
  /** What to do; where nothing is wrong there is none. */
  readonly advice?: string
}

/** One look: all that is wrong, or what is right. */
export interface Check {
  readonly name: CheckName
  look(): Promise<readonly Fault[] | string>
}

/** What an operator says of the app. */
export interface DoctorOptions {
  /** As the app's option `user`. */
  readonly field?: Path | undefined
  /** As the app's option `timeout`, milliseconds. @default 5000 */
  readonly timeout?: number
  readonly skip?: ReadonlySet<CheckName>
}

/** What the checks find, one after another. What one cannot find out is no fault, and does not keep the others. */
export async function findingsOf(
  list: readonly Check[],
  skip: ReadonlySet<CheckName>,
  censor: Censor,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, look } of list) {
    if (skip.has(name)) continue
    try {
      const found = await look()
      if (typeof found === 'string') findings.push({ check: name, severity: 'ok', message: found })
      else findings.push(...found.map(fault => ({ check: name, ...fault })))
    } catch (error) {
      findings.push({
        check: name,
        severity: 'note',
        message: `This could not be looked at: ${toldOf(error, censor)}`,
        advice: 'Give the role or user of the address the right to ask, or look yourself',
      })
    }
  }
  return findings
}

/** For checks that find nothing wrong: what is right. */
export function orFine(faults: readonly Fault[], fine: string): readonly Fault[] | string {
  return faults.length > 0 ? faults : fine
}

const order: readonly Severity[] = ['ok', 'note', 'warning', 'error']

export function worstOf(findings: readonly Finding[]): Severity {
  return findings.reduce<Severity>(
    (worst, { severity }) => (order.indexOf(severity) > order.indexOf(worst) ? severity : worst),
    'ok',
  )
}

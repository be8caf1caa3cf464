import assert from 'node:assert/strict'
import type { CheckName, Finding, Severity } from '../../src/cli/doctor/finding.ts'
import { given } from './terminal.ts'

const codes: Readonly<Record<Severity, number>> = { ok: 0, note: 0, warning: 1, error: 2 }

/** What the doctor finds; its exit code is that of the worst. */
export async function diagnosed(...args: string[]): Promise<readonly Finding[]> {
  const { json, code } = await given(['doctor', ...args, '--json'])
  assert.ok(Array.isArray(json.findings), JSON.stringify(json))
  assert.equal(code, codes[json.severity as Severity])
  return json.findings
}

/** Of one check. */
export function of(findings: readonly Finding[], check: CheckName): readonly Finding[] {
  const found = findings.filter(finding => finding.check === check)
  assert.ok(found.length > 0, `${check} was not looked at`)
  return found
}

/** Asserts that this is found, at least so bad, and that it says what to do. */
export function assertFound(
  findings: readonly Finding[],
  check: CheckName,
  severity: Severity,
  message: RegExp,
): void {
  const all = of(findings, check)
  const found = all.find(finding => message.test(finding.message))
  assert.ok(found, `${message} is not among: ${all.map(one => one.message).join('; ')}`)
  assert.equal(found.severity, severity, found.message)
  assert.ok(found.advice, found.message)
}

/** Asserts that nothing is wrong, and that all of it was looked at. */
export function assertWell(findings: readonly Finding[], ...notes: CheckName[]): void {
  const bad = findings.filter(({ check, severity }) => severity !== 'ok' && !notes.includes(check))
  assert.deepEqual(bad, [])
  assert.ok(findings.every(({ severity }) => severity === 'ok' || severity === 'note'))
}

import { type App, type AppOptions, examineApp } from '../app/diagnosis.ts'
import { toldOf } from '../failure.ts'
import { checksOfMongoDB } from '../mongodb/diagnosis.ts'
import { connectMongoDB } from '../mongodb/open.ts'
import { orClosed } from '../opened.ts'
import { checksOfPostgreSQL } from '../postgres/diagnosis.ts'
import { connectPostgreSQL } from '../postgres/open.ts'
import { printable } from '../printable.ts'
import { connectRedis } from '../redis/connection.ts'
import { checksOfRedis } from '../redis/diagnosis.ts'
import { checksOfSQLite } from '../sqlite/diagnosis.ts'
import { lookIntoExisting } from '../sqlite/open.ts'
import type { Target } from '../target.ts'
import {
  type Check,
  type DoctorOptions,
  type Finding,
  findingsOf,
  type Severity,
  worstOf,
} from './finding.ts'
import { sameStore } from './same-store.ts'

interface Patient {
  readonly checks: readonly Check[]
  close(): Promise<void>
}

/** What is wrong with a store, and what is right. Nothing is written. */
export async function examineStore(target: Target, options: DoctorOptions = {}): Promise<Finding[]> {
  const { skip = new Set() } = options
  let patient: Patient
  try {
    patient = await connected(target, options)
  } catch (error) {
    return [
      {
        check: 'connection',
        severity: 'error',
        message: toldOf(error, target.censor),
        advice: 'See whether the address is right, and the database up and reachable from here',
      },
    ]
  }
  try {
    return await findingsOf(patient.checks, skip, target.censor)
  } finally {
    await patient.close()
  }
}

async function connected(target: Target, options: DoctorOptions): Promise<Patient> {
  switch (target.kind) {
    case 'mongodb': {
      const connection = await connectMongoDB(target)
      const checks = checksOfMongoDB(connection, target, options)
      return { checks, close: () => connection.client.close() }
    }
    case 'redis': {
      const connection = await connectRedis(target.address)
      const checks = checksOfRedis(connection, target, options)
      return { checks, close: () => connection.close() }
    }
    case 'postgres': {
      const { connection, close } = await connectPostgreSQL(target)
      // The pool connects by the first statement only.
      await orClosed(close, () => connection.query('SELECT 1::text', [], 'none'))
      return { checks: checksOfPostgreSQL(connection, target, options), close }
    }
    case 'sqlite': {
      const db = lookIntoExisting(target.address)
      return { checks: checksOfSQLite(db, target, options), close: async () => void db.close() }
    }
  }
}

export interface Diagnosis {
  readonly severity: Severity
  readonly findings: readonly Finding[]
}

/**
 * What is wrong with a store and with an app that uses it, and what is right. The sessions that the app begins for being asked are
 * ended where the store is given too.
 */
export async function doctor(
  target: Target | undefined,
  app: App | undefined,
  options: DoctorOptions & AppOptions = {},
): Promise<Diagnosis> {
  const findings = target ? await examineStore(target, options) : []
  if (app) {
    const examined = await examineApp(app, options)
    findings.push(...examined.findings)
    if (target && examined.sessions.length > 0) findings.push(...(await sameStore(target, examined, options)))
  }
  return { severity: worstOf(findings), findings }
}

/** Lines for people: how bad, what was looked at, what is so, and below what to do. */
export function diagnosisText({ findings }: Diagnosis): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ severity, check, message, advice }) => {
      const head = `${severity.padEnd('warning'.length)}  ${check.padEnd(width)}  `
      const below = advice === undefined ? '' : `\n${' '.repeat(head.length)}> ${printable(advice)}`
      return `${head}${printable(message)}${below}`
    })
    .join('\n')
}

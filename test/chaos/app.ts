import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { proxied } from '../support/mongodb/proxy.ts'
import { proxiedPostgreSQL as proxiedAddress } from '../support/postgres/proxied.ts'
import type { FaultProxy } from '../support/proxy.ts'
import type { Measurement, ProcessPlan } from './process.ts'
import { type Place, TIMEOUT } from './stores.ts'

const file = fileURLToPath(new URL('./process.ts', import.meta.url))

/** Nobody answers there. */
const NOWHERE = 'http://127.0.0.1:1'

export interface ProcessOptions {
  readonly breakage?: string | undefined
  readonly timeout?: number
}

/** A process of the app that can be killed and started anew, with its own way to the store. */
export class AppProcess {
  /** Where it answers. Once it has ended, nobody does: another program may have its port. */
  origin = NOWHERE
  /** Where the store is on a network. */
  readonly proxy: FaultProxy | undefined
  readonly #plan: Omit<ProcessPlan, 'clock'>
  #child: ChildProcess | undefined

  private constructor(plan: Omit<ProcessPlan, 'clock'>, proxy: FaultProxy | undefined) {
    this.#plan = plan
    this.proxy = proxy
  }

  /** One of that breakage, if any, whose calls take so many milliseconds at most. */
  static async on(place: Place, { breakage, timeout = TIMEOUT }: ProcessOptions = {}): Promise<AppProcess> {
    if (place.store === 'sqlite') return new AppProcess({ place, breakage, timeout }, undefined)
    const { proxy, uri } = await (place.store === 'mongodb' ? proxied : proxiedAddress)(place.uri)
    return new AppProcess({ place: { ...place, uri }, breakage, timeout }, proxy)
  }

  /** `clock`: milliseconds by which its clock is to be wrong. */
  async start(clock: number): Promise<void> {
    const plan: ProcessPlan = { ...this.#plan, clock }
    const child = fork(file, [JSON.stringify(plan)], { execArgv: ['--expose-gc', '--import', 'tsx'] })
    this.#child = child
    const started = once(child, 'message') as Promise<[string]>
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`A process of the app ended at once (exit code ${code})`)
    })
    ended.catch(() => {})
    const [origin] = await Promise.race([started, ended])
    this.origin = origin
  }

  async measure(): Promise<Measurement> {
    const child = this.#child
    if (!child) throw new Error('The process has ended')
    const told = once(child, 'message') as Promise<[Measurement]>
    child.send('measure')
    const [measurement] = await told
    return measurement
  }

  /** `SIGKILL`: whatever it is at is lost. `SIGTERM`: it drains first. */
  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    if (signal === 'SIGKILL') this.origin = NOWHERE
    child.kill(signal)
    await exited
    this.origin = NOWHERE
  }

  /** Nothing of it goes on for so many milliseconds. */
  async pause(milliseconds: number): Promise<void> {
    const child = this.#child
    child?.kill('SIGSTOP')
    await delay(milliseconds)
    child?.kill('SIGCONT')
  }

  async close(): Promise<void> {
    await this.stop('SIGTERM')
    await this.proxy?.close()
  }
}

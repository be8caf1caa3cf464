import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { listenSomewhere } from './ports.ts'

/** Sees, and may alter, what goes over one connection. */
export interface Tap {
  /** From the client to the server. */
  up?(chunk: Buffer): Buffer
  /** From the server to the client. */
  down?(chunk: Buffer): Buffer
}

export interface Target {
  readonly host: string
  readonly port: number
}

type Direction = 'up' | 'down'

/**
 * Drivers that keep a connection to watch the server by open it first; MongoDB's may begin a check on a dying one, and
 * never end it, if that dies in the same tick as the others.
 */
const MONITOR_FIRST = 10

/** A way to a TCP server that fails on demand. It begins without a fault. */
export class FaultProxy {
  readonly #target: Target
  readonly #tap: (() => Tap) | undefined
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  #port = 0
  #isHeld: Record<Direction, boolean> = { up: false, down: false }
  #delay = 0
  #losesAnswer = () => false
  /** Bytes that each connection still passes to its client before it is cut. */
  #passing = Number.POSITIVE_INFINITY

  private constructor(target: Target, tap?: () => Tap) {
    this.#target = target
    this.#tap = tap
    this.#server = createServer(near => this.#connect(near))
  }

  static async to(target: Target, tap?: () => Tap): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, tap)
    proxy.#port = await listenSomewhere(proxy.#server)
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#connections.size
  }

  /** Ends every fault. What was held is delivered late, as TCP would. */
  async heal(): Promise<void> {
    this.#isHeld = { up: false, down: false }
    this.#delay = 0
    this.#passing = Number.POSITIVE_INFINITY
    this.#losesAnswer = () => false
    for (const connection of this.#connections) {
      connection.passing = this.#passing
      connection.flush()
    }
    if (this.#server.listening) return
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** Cuts all connections, once: new ones are welcome. */
  async cut(): Promise<void> {
    const [oldest, ...others] = this.#connections
    oldest?.destroy()
    await delay(MONITOR_FIRST)
    for (const connection of others) connection.destroy()
  }

  /** Nobody is there: what is connected is cut, and connecting is refused. */
  async refuse(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined
    this.#server.close()
    await this.cut()
    for (const connection of this.#connections) connection.destroy()
    await closed
  }

  /** Nothing goes either way any more; whoever connects is accepted. */
  stall(): void {
    this.#isHeld = { up: true, down: true }
  }

  /** The server gets what it is sent, and its answers do not come. */
  mute(): void {
    this.#isHeld = { up: false, down: true }
  }

  /** Holds up everything for so many milliseconds, each way. */
  slowDown(ms: number): void {
    this.#delay = ms
  }

  /** Cuts each connection after so many more bytes of answers; 0: the server gets what it is sent, and the answer is lost. */
  cutAnswersAfter(bytes: number): void {
    this.#passing = bytes
    for (const connection of this.#connections) connection.passing = bytes
  }

  /** Cuts a connection in place of passing an answer on, each time that `lot` says so. */
  loseAnswers(lot: () => boolean): void {
    this.#losesAnswer = lot
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #connect(near: Socket): void {
    const far = connect(this.#target.port, this.#target.host)
    const connection = new Connection(near, far, this.#tap?.() ?? {}, {
      isHeld: direction => this.#isHeld[direction],
      delay: () => this.#delay,
      losesAnswer: () => this.#losesAnswer(),
    })
    connection.passing = this.#passing
    this.#connections.add(connection)
    near.once('close', () => this.#connections.delete(connection))
  }
}

interface Faults {
  isHeld(direction: Direction): boolean
  delay(): number
  losesAnswer(): boolean
}

class Connection {
  passing = Number.POSITIVE_INFINITY
  readonly #near: Socket
  readonly #far: Socket
  readonly #tap: Tap
  readonly #faults: Faults
  readonly #waiting: Record<Direction, Buffer[]> = { up: [], down: [] }

  constructor(near: Socket, far: Socket, tap: Tap, faults: Faults) {
    this.#near = near
    this.#far = far
    this.#tap = tap
    this.#faults = faults
    near.setNoDelay(true)
    far.setNoDelay(true)
    near.on('data', chunk => this.#take('up', chunk))
    far.on('data', chunk => this.#take('down', chunk))
    for (const socket of [near, far]) {
      socket.on('error', () => this.destroy())
      socket.on('close', () => this.destroy())
    }
  }

  destroy(): void {
    this.#near.destroy()
    this.#far.destroy()
  }

  flush(): void {
    for (const direction of ['up', 'down'] as const) {
      for (const chunk of this.#waiting[direction].splice(0)) this.#pass(direction, chunk)
    }
  }

  #take(direction: Direction, chunk: Buffer): void {
    this.#waiting[direction].push(chunk)
    const ms = this.#faults.delay()
    if (ms > 0) setTimeout(() => this.#next(direction), ms)
    else this.#next(direction)
  }

  /** In the order they came, whatever the delay of each. */
  #next(direction: Direction): void {
    if (this.#faults.isHeld(direction)) return
    const chunk = this.#waiting[direction].shift()
    if (chunk) this.#pass(direction, chunk)
  }

  #pass(direction: Direction, chunk: Buffer): void {
    const altered = this.#tap[direction]?.(chunk) ?? chunk
    if (direction === 'up') {
      this.#far.write(altered)
      return
    }
    if (this.#faults.losesAnswer()) {
      this.destroy()
    } else if (altered.length <= this.passing) {
      this.#near.write(altered)
      this.passing -= altered.length
    } else if (!this.#near.writableEnded) {
      this.#near.end(altered.subarray(0, this.passing), () => this.destroy())
    }
  }
}

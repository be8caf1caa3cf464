import { connect, type Socket } from 'node:net'

// The load generator, a process of its own: carries out each order that it is sent and answers with what it measured.

export interface Order {
  readonly port: number
  readonly path: string
  /** One for each client, each of which sends its next request when the one before is answered. */
  readonly cookies: readonly string[]
  readonly milliseconds: number
  /** How many requests each client sends at most. */
  readonly each?: number
}

export interface Measured {
  readonly requests: number
  readonly milliseconds: number
  /** Of answers, milliseconds. */
  readonly median: number
  readonly p99: number
}

process.on('message', (order: Order) => {
  measured(order).then(
    found => process.send?.(found),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())

async function measured({ port, path, cookies, milliseconds, each = Infinity }: Order): Promise<Measured> {
  const clients = await Promise.all(cookies.map(cookie => Client.connected(port, path, cookie)))
  const latencies: number[] = []
  const begun = performance.now()
  const end = begun + milliseconds
  await Promise.all(
    clients.map(async client => {
      let sent = performance.now()
      for (let count = 0; count < each && sent < end; count++) {
        await client.request()
        const now = performance.now()
        latencies.push(now - sent)
        sent = now
      }
    }),
  )
  const took = performance.now() - begun
  for (const client of clients) client.close()
  latencies.sort((a, b) => a - b)
  const at = (part: number) => latencies[Math.floor(part * (latencies.length - 1))] ?? Number.NaN
  return { requests: latencies.length, milliseconds: took, median: at(0.5), p99: at(0.99) }
}

/** Knows as much of HTTP as is needed, so that it costs little next to the app that it loads. */
class Client {
  readonly #socket: Socket
  readonly #request: Buffer
  #received = ''
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket, request: Buffer) {
    this.#socket = socket
    this.#request = request
    socket.setNoDelay(true)
    socket.on('data', data => this.#receive(data.toString('latin1')))
    socket.on('error', error => this.#settle?.reject(error))
    socket.on('close', () => this.#settle?.reject(new Error('The app closed a connection')))
  }

  static connected(port: number, path: string, cookie: string): Promise<Client> {
    const head = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Client(socket, Buffer.from(head))))
      socket.once('error', reject)
    })
  }

  request(): Promise<void> {
    this.#socket.write(this.#request)
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  close(): void {
    this.#settle = undefined
    this.#socket.destroy()
  }

  #receive(text: string): void {
    this.#received += text
    const head = this.#received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = /\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1]
    if (length !== undefined && this.#received.length < head + 4 + Number(length)) return
    const isGood = length !== undefined && this.#received.startsWith('HTTP/1.1 200 ')
    if (isGood) this.#settle?.resolve()
    else this.#settle?.reject(new Error(`An answer that nobody expects: ${this.#received}`))
    this.#received = ''
  }
}

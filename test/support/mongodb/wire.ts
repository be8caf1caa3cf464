import { type Document, deserialize, serialize } from 'bson'
import type { Tap } from '../proxy.ts'

/** An answer on its way: what the server is to have said instead; `undefined` leaves it as it is. */
export type Alter = (answer: Document, command: Document) => Document | undefined

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

/** Where the document is in a message: behind the header of 16 bytes and what the kind of message puts before it. */
const DOCUMENT_AT: Readonly<Record<number, number>> = { [OP_MSG]: 16 + 4 + 1, [OP_REPLY]: 16 + 20 }

/** Alters the server's answers: the server of the tests is alone, knows no elections, and always confirms what it did. */
export function altering(alter: Alter): () => Tap {
  return () => {
    const commands = new Map<number, Document>()
    const requests = new Messages()
    const answers = new Messages()
    return {
      up(chunk) {
        for (const message of requests.take(chunk)) commands.set(message.readInt32LE(4), commandIn(message))
        return chunk
      },
      down(chunk) {
        return Buffer.concat(
          answers.take(chunk).map(message => {
            const request = message.readInt32LE(8)
            const command = commands.get(request) ?? {}
            commands.delete(request)
            const at = DOCUMENT_AT[message.readInt32LE(12)] ?? 0
            const altered = alter(deserialize(message.subarray(at)), command)
            return altered ? withDocument(message.subarray(0, at), altered) : message
          }),
        )
      },
    }
  }
}

function commandIn(message: Buffer): Document {
  if (message.readInt32LE(12) !== OP_QUERY)
    return deserialize(message.subarray(DOCUMENT_AT[OP_MSG] ?? 0), lax)
  const name = message.indexOf(0, 20)
  return deserialize(message.subarray(name + 1 + 8), lax)
}

/** What follows the document is of no interest. */
const lax = { allowObjectSmallerThanBufferSize: true }

function withDocument(before: Buffer, document: Document): Buffer {
  const message = Buffer.concat([before, serialize(document)])
  message.writeInt32LE(message.length, 0)
  return message
}

/** Cuts a stream into the protocol's messages, whose first four bytes tell their length. */
class Messages {
  #rest = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const messages: Buffer[] = []
    while (this.#rest.length >= 4 && this.#rest.length >= this.#rest.readInt32LE(0)) {
      const length = this.#rest.readInt32LE(0)
      messages.push(this.#rest.subarray(0, length))
      this.#rest = this.#rest.subarray(length)
    }
    return messages
  }
}

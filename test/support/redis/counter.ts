import { RedisStore as ConnectRedis } from 'connect-redis'
import { createClient } from 'redis'
import { aChange, inc } from '../../contract/records.ts'
import { openAt } from './openat.ts'

// One process of several that count in one session: told how often, does so all at once, by our store and by connect-redis.

const [client = '', port = '', id = '', times = ''] = process.argv.slice(2)
const { store } = await openAt(client, Number(port))
const other = await createClient({ socket: { host: '127.0.0.1', port: Number(port) } }).connect()
const ordinary = new ConnectRedis({ client: other, prefix: 'ordinary:' })

process.once('message', () => {
  const counted = Array.from({ length: Number(times) }, async () => {
    await store.update(id, aChange(inc('n')))
    const session = (await ordinary.get(id)) as unknown as { n: number }
    await ordinary.set(id, { ...session, n: session.n + 1 } as never)
  })
  Promise.all(counted).then(() => process.send?.('done'))
})
process.once('disconnect', () => process.exit())
process.send?.('ready')

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { freePort } from '../support/ports.ts'
import { aFolder, startShop } from '../support/shop.ts'

suite('a shop that cannot open says why and what to do, in one line, and ends with 1', () => {
  test('its port is taken', async t => {
    const server = createServer().listen(0, 'localhost')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    await refuses(t, { PORT: String(port) }, [
      `The shop cannot open: port ${port} is taken. Stop what uses it, or choose another one, as in PORT=${port + 1} npm start`,
    ])
  })

  test('PORT is not a port', async t => {
    for (const PORT of ['abc', '65536']) {
      await refuses(t, { PORT }, [
        `The shop cannot open: PORT is ${PORT}. Give a number from 0 to 65535, as in PORT=3000 npm start`,
      ])
    }
  })

  for (const name of ['sessions.sqlite', 'ordinary.sqlite']) {
    test(`${name} is no database`, async t => {
      const folder = await aFolder()
      t.after(folder.remove)
      const path = join(folder.path, name)
      await writeFile(
        path,
        'A letter to Ada, which is longer than the head of a database would be. '.repeat(20),
      )
      await refuses(t, { DATA_FOLDER: folder.path }, [
        path,
        'file is not a database',
        'Move it away, or choose another folder, as in DATA_FOLDER=/tmp/shop npm start',
      ])
    })
  }

  test('DATA_FOLDER is a file', async t => {
    const folder = await aFolder()
    t.after(folder.remove)
    const path = join(folder.path, 'letter')
    await writeFile(path, 'Dear Ada')
    await refuses(t, { DATA_FOLDER: path }, [path, 'choose another folder'])
  })

  for (const [variable, scheme] of [
    ['MONGODB_URI', 'mongodb'],
    ['DATABASE_URL', 'postgres'],
    ['REDIS_URL', 'redis'],
  ] as const) {
    test(`the database of ${variable} is away`, async t => {
      const port = await freePort()
      await refuses(t, { [variable]: `${scheme}://127.0.0.1:${port}` }, [
        `connect ECONNREFUSED 127.0.0.1:${port}`,
        `Start the database, correct ${variable}, or leave it out to keep sessions in files`,
      ])
    })

    test(`${variable} is no address`, async t => {
      await refuses(t, { [variable]: `${scheme}:what` }, [`correct ${variable}`])
    })
  }
})

async function refuses(t: TestContext, env: NodeJS.ProcessEnv, parts: readonly string[]): Promise<void> {
  const folder = await aFolder()
  t.after(folder.remove)
  await assert.rejects(startShop(folder.path, env), (error: Error) => {
    assert.deepEqual(error.cause, [1, null])
    const [line, ...others] = error.message.split('\n')
    assert.deepEqual(others, [])
    assert.match(line ?? '', /^The shop cannot open: /)
    for (const part of parts) assert.ok(line?.includes(part), `${line} has no ${part}`)
    return true
  })
}

const { memoryStore, storeContract } = require('koa-atomic-session/testing')

for (const { title, run } of storeContract()) {
  test(title, async () => {
    expect(await run(() => memoryStore())).toBeUndefined()
  })
}

const { memoryStore, storeContract } = require('koa-atomic-session/testing')

for (const { title, run } of storeContract()) {
  test(title, async () => {
    const store = memoryStore()
    const open = () => store
    expect(await run(open, open)).toBeUndefined()
  })
}

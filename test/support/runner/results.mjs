// A reporter has to be JavaScript: Node 20 loads it before `--import tsx` takes effect.

/** Writes each result as a line of JSON for counts.ts, and `end` after the last one. */
export default async function* results(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { name, nesting, file, skip, todo, details } = data
    yield `${JSON.stringify({
      passed: type === 'test:pass',
      name,
      nesting,
      file,
      skip,
      todo,
      isSuite: details.type === 'suite',
      failure: details.error?.failureType,
    })}\n`
  }
  yield 'end\n'
}

/** So many times as much is asked for the second time. */
const TIMES = 10

/**
 * How many times as much processor time `act` takes for ten times as many: about 10 where the cost is in proportion, 100
 * where it goes by the square. The least of several tries each, since the machine may be busy with other things.
 */
export function growthOf(few: number, act: (count: number) => () => unknown): number {
  const [small, large] = [act(few), act(few * TIMES)]
  const repetitions = repetitionsFor(small)
  const before = leastTimeOf(small, repetitions)
  return leastTimeOf(large, repetitions) / before
}

/** So often that a clock of microseconds can tell. */
function repetitionsFor(run: () => unknown): number {
  let repetitions = 1
  while (timeOf(run, repetitions) < 2000) repetitions *= 2
  return repetitions
}

function leastTimeOf(run: () => unknown, repetitions: number): number {
  return Math.min(...Array.from({ length: 5 }, () => timeOf(run, repetitions)))
}

/** Microseconds of the processor. */
function timeOf(run: () => unknown, repetitions: number): number {
  const before = process.cpuUsage()
  for (let time = 0; time < repetitions; time++) run()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

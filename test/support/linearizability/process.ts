import { openedAt, placeIn } from '../places.ts'
import { startApp } from './app.ts'
import { forgetful } from './forgetful.ts'
import { Random } from './random.ts'

// One process of the app: says where it answers, and ends with the process that started it.

const [seed, probability, ...place] = process.argv.slice(2)
const store = await openedAt(placeIn(place))
const { origin } = await startApp(forgetful(store, new Random(Number(seed)), Number(probability)))
process.once('disconnect', () => process.exit())
process.send?.(origin)

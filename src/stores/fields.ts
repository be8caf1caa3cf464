/**
 * For stores whose database cannot apply every change by itself: changes of one session combined, and what they come to, worked
 * out on the top-level fields that they touch.
 */

export { type CombinableStore, combined, type Hints, type Together } from '../store/combining.ts'
export type { Life, Standing, StoredField, Swap } from './draft.ts'
export {
  decodeFields,
  encodeField,
  encodeFields,
  type FieldBytes,
  sizeOfField,
  sizeOfFields,
} from './fieldbytes.ts'
export {
  type FieldStore,
  type Missing,
  type Moved,
  type SwapHints,
  type Swapped,
  updateFields,
} from './swapping.ts'

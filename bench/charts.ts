import type { Figures } from './figures.ts'
import type { Kept } from './processes.ts'
export function writeCharts(_figures: Figures, _kept: readonly Kept[]): void {}

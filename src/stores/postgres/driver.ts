/** Bytes only for what a statement reads as `bytea`. */
export type Parameter = string | null | Uint8Array
export type Row = readonly (string | null)[]

/** What the store asks of either package. */
export interface Driver {
  /**
   * The rows of one statement, all columns of which are texts. `name`: to prepare it under, if it may be prepared. `until`: when
   * the caller gives up, by `performance.now()`.
   */
  query(
    sql: string,
    parameters: readonly Parameter[],
    name: string | undefined,
    until: number | undefined,
  ): Promise<readonly Row[]>
  /** Several statements, in one transaction. */
  script(sql: string): Promise<void>
  /** Whether what has failed had been sent. */
  wasSent(error: unknown): boolean
  /** Whether statements may be prepared at first: if a pooler does not know one, the error has to tell. */
  canPrepare(): Promise<boolean>
  /** How long callers wait, milliseconds. */
  useTimeout(ms: number): void
  /** Says once what the client is set up with that defeats a promise. */
  warn(): void
}

import assert from 'node:assert/strict'

type Typed = Record<string, string | readonly string[]>

/** A browser without JavaScript: keeps its one cookie, and submits the forms of the page it shows as they are. */
export class FormBrowser {
  cookie = ''
  #url: string
  #page = ''

  constructor(url: string) {
    this.#url = url
  }

  /** The token of the page's first form. */
  get token(): string {
    return /name="_csrf" value="([^"]*)"/.exec(this.#page)?.[1] ?? ''
  }

  /** The same browser at another address. */
  at(url: string): this {
    this.#url = url
    return this
  }

  /** Another browser, which has been nowhere. */
  twin(): FormBrowser {
    return new FormBrowser(this.#url)
  }

  async open(path: string): Promise<string> {
    const response = await this.#fetch(path, {})
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
    this.#page = await response.text()
    return this.#page
  }

  async submit(action: string, typed: Typed = {}): Promise<string> {
    const form = this.#page.split('<form').find(text => text.includes(`action="${action}"`))
    assert.ok(form, `no form for ${action}`)
    assert.match(form, / method="post"/)
    const response = await this.post(action, typed)
    assert.equal(response.status, 303)
    return this.open(response.headers.get('location') ?? '')
  }

  async submitAtOnce(times: number, action: string): Promise<void> {
    const responses = await Promise.all(Array.from({ length: times }, () => this.post(action)))
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([303]))
  }

  /** With the page's token, whether or not the page has such a form. */
  post(action: string, typed: Typed = {}, headers: Record<string, string> = {}): Promise<Response> {
    const body = new URLSearchParams()
    for (const [name, values] of Object.entries({ _csrf: this.token, ...typed })) {
      for (const value of [values].flat()) body.append(name, value)
    }
    return this.#fetch(action, { method: 'POST', body, headers })
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, ...(this.cookie && { Cookie: this.cookie }) }
    const response = await fetch(this.#url + path, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';')[0] ?? ''
    return response
  }
}

// Makes the pages smoother and live; without it they work by plain forms and links.

/**
 * Puts new content into an element; what has the focus keeps it if it is there again.
 *
 * @param {string} id
 * @param {Iterable<Node>} content
 */
function replace(id, content) {
  const focused = document.activeElement?.id
  document.getElementById(id)?.replaceChildren(...content)
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
}

/** @param {string} text */
function parsed(text) {
  return new DOMParser().parseFromString(text, 'text/html')
}

/**
 * Sends a form and puts the page that answers it in the place of this one.
 *
 * @param {HTMLFormElement} form
 */
async function send(form) {
  form.querySelector('button')?.setAttribute('aria-busy', 'true')
  try {
    const fields = new FormData(form)
    const body = new URLSearchParams([...fields].map(([name, value]) => [name, String(value)]))
    const response = await fetch(form.action, { method: 'POST', body })
    const page = parsed(await response.text())
    for (const id of ['header', 'flash', 'main']) replace(id, page.getElementById(id)?.childNodes ?? [])
    document.getElementById('result')?.focus()
  } catch {
    // Whatever is wrong, the browser itself can say it.
    form.submit()
  }
}

addEventListener('submit', event => {
  const form = event.target
  if (!(form instanceof HTMLFormElement) || !('swap' in form.dataset)) return
  event.preventDefault()
  // A second click while the first is being answered sends nothing.
  if (!form.querySelector('[aria-busy]')) send(form)
})

function listen() {
  const events = new EventSource('/devices/live')
  events.addEventListener('devices', ({ data }) => {
    document.getElementById('live')?.removeAttribute('hidden')
    replace('devices', parsed(JSON.parse(data)).body.childNodes)
  })
  events.addEventListener('signed-out', () => {
    events.close()
    delete document.body.dataset.signedIn
    document.getElementById('signed-out')?.removeAttribute('hidden')
  })
  return events
}

/** @type {EventSource | undefined} */
let events

/** A browser opens only a few connections to a host: pages that nobody sees do without. */
function followDevices() {
  events?.close()
  const isSeen = document.visibilityState === 'visible'
  events = isSeen && 'signedIn' in document.body.dataset ? listen() : undefined
}

addEventListener('visibilitychange', followDevices)
followDevices()

// Makes the pages smoother and live; without it they work by plain forms and links.

/**
 * Makes a node like a fresh one and keeps what they have in common: a button that is being pressed stays that button.
 *
 * @param {ChildNode} node
 * @param {ChildNode} fresh
 */
function renew(node, fresh) {
  if (node.isEqualNode(fresh)) return
  const areAlike = node instanceof Element && fresh instanceof Element && node.id === fresh.id
  if (!areAlike || node.nodeName !== fresh.nodeName) return node.replaceWith(fresh)
  for (const { name } of [...node.attributes]) {
    // What a visitor has opened stays open.
    if (!fresh.hasAttribute(name) && name !== 'open') node.removeAttribute(name)
  }
  for (const { name, value } of fresh.attributes) node.setAttribute(name, value)
  const children = [...node.childNodes]
  const wanted = [...fresh.childNodes]
  for (const [index, child] of wanted.entries()) {
    const present = children[index]
    if (present) renew(present, child)
    else node.append(child)
  }
  for (const child of children.slice(wanted.length)) child.remove()
}

/**
 * Puts an element in the place of the one with its id; what has the focus keeps it if it is there again.
 *
 * @param {Element | null} fresh
 */
function replace(fresh) {
  const present = fresh && document.getElementById(fresh.id)
  if (!present) return
  const focused = document.activeElement?.id
  renew(present, fresh)
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true })
  }
}

/** @param {string} text */
function parsed(text) {
  return new DOMParser().parseFromString(text, 'text/html')
}

/**
 * Puts the page of a response in the place of this one.
 *
 * @param {Response} response
 * @param {string} text
 */
function show({ redirected, url }, text) {
  const page = parsed(text)
  if (redirected) history.replaceState(null, '', url)
  document.title = page.title
  for (const id of ['header', 'main']) replace(page.getElementById(id))
  // A message is given to one response only: those that come after it do not clear it away.
  const flash = page.getElementById('flash')
  if (flash?.hasChildNodes()) replace(flash)
}

/** @param {string} [url] */
async function load(url = location.href) {
  const response = await fetch(url)
  show(response, await response.text())
}

/** Forms: how many were sent and are not answered yet, and which answer is shown. */
let sent = 0
let unanswered = 0
let shown = 0
let hasOverlap = false

/**
 * Sends a form and shows the page that answers it.
 *
 * @param {HTMLFormElement} form
 */
async function send(form) {
  const number = ++sent
  if (unanswered++ > 0) hasOverlap = true
  else document.getElementById('flash')?.replaceChildren()
  try {
    const fields = new FormData(form)
    const body = new URLSearchParams([...fields].map(([name, value]) => [name, String(value)]))
    const response = await fetch(form.action, { method: 'POST', body })
    const text = await response.text()
    // Answers may overtake each other.
    if (number > shown) {
      shown = number
      show(response, text)
      goTo(new URL(form.action).hash)
    }
    if (--unanswered === 0 && hasOverlap) {
      // The last answer may have been made before the change of another request.
      hasOverlap = false
      await load()
    }
  } catch {
    // Whatever is wrong, the browser itself can say it.
    form.submit()
  }
}

/** @param {string} hash */
function goTo(hash) {
  const target = hash && document.querySelector(hash)
  if (!(target instanceof HTMLElement)) return
  target.focus({ preventScroll: true })
  target.scrollIntoView()
}

addEventListener('submit', event => {
  const form = event.target
  if (!(form instanceof HTMLFormElement)) return
  const { swap, progress = '' } = form.dataset
  // Where not every click counts, one that comes while another form is being answered sends nothing.
  if (swap !== 'each') {
    if (document.querySelector('[aria-busy]')) return event.preventDefault()
    form.querySelector('button')?.setAttribute('aria-busy', 'true')
    const output = form.querySelector('output')
    if (output) output.value = progress
  }
  if (swap === undefined) return
  event.preventDefault()
  send(form)
})

/** The browser kept this page as it was when a form was sent, and shows it again. */
addEventListener('pageshow', () => {
  document.querySelector('[aria-busy]')?.removeAttribute('aria-busy')
  for (const output of document.querySelectorAll('output')) output.value = ''
})

const { dataset } = document.body

function listen() {
  const events = new EventSource('/devices/live')
  events.addEventListener('open', () => {
    dataset.connection = 'live'
  })
  events.addEventListener('error', () => {
    dataset.connection = 'offline'
    // After an error page the browser does not try again by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(followDevices, 5000)
  })
  events.addEventListener('devices', ({ data }) => {
    replace(parsed(JSON.parse(data)).getElementById('devices'))
  })
  events.addEventListener('signed-out', () => {
    events.close()
    delete dataset.signedIn
    delete dataset.connection
    document.getElementById('signed-out')?.removeAttribute('hidden')
    load()
  })
  return events
}

/** @type {EventSource | undefined} */
let events

/** A browser opens only a few connections to a host: pages that nobody sees do without. */
function followDevices() {
  events?.close()
  const isSeen = document.visibilityState === 'visible'
  events = isSeen && 'signedIn' in dataset ? listen() : undefined
}

addEventListener('visibilitychange', followDevices)
followDevices()

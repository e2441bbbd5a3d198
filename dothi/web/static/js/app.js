// The parts every page has: live state, clock, dialog, theme, messages. Loaded as a module.
import './live.js'
import './clock.js'
import { say } from './words.js'

const dialog = document.getElementById('dialog')
const root = document.documentElement

// Many services make the navigation longer than a phone: where one is stays in view.
document.querySelector('.side [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
for (const current of document.querySelectorAll('.filters > .choices [aria-current]')) {
  const strip = current.parentElement
  strip.scrollLeft = current.offsetLeft - strip.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2
}

// -- live panels: keep what the person opened, and what scripts drew ---------------------------------

Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !(name === 'open' && (node.tagName === 'DETAILS' || node.tagName === 'DIALOG'))

Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) => {
  if (old.tagName !== 'DOTHI-CHART' || fresh.tagName !== 'DOTHI-CHART') return true
  old.adopt(fresh)
  return false
}

// -- dialog -----------------------------------------------------------------------------------------

document.body.addEventListener('htmx:afterSwap', (event) => {
  const target = event.detail.target
  if (target.id === 'dialog-body') {
    htmx.process(target) // before the field has the focus: not a letter typed at once is lost
    openDialog()
  } else if (event.detail.requestConfig.elt.dataset?.goes) goTo(event.detail.requestConfig.elt)
})

addEventListener('dothi:dialog', (event) => {
  const body = document.getElementById('dialog-body')
  body.replaceChildren(event.detail)
  htmx.process(body)
  openDialog()
})

function openDialog() {
  const close = document.createElement('button')
  close.className = 'tool dialog-close'
  close.textContent = '✕'
  close.setAttribute('aria-label', say('close'))
  close.addEventListener('click', () => dialog.close())
  document.getElementById('dialog-body').prepend(close)
  if (!dialog.open) dialog.showModal()
  dialog.scrollTop = 0
  dialog.querySelector('[autofocus]')?.focus()
}

dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close()
})

// On a phone the chart a tile opens lies below: go there. On the board it is in view already.
function goTo(link) {
  dialog.close()
  const panel = document.getElementById(link.dataset.goes)
  if (!panel) return
  const box = panel.getBoundingClientRect()
  if (box.top < 0 || box.top > innerHeight * 0.7) panel.scrollIntoView({ block: 'start' })
}

// -- actions: 204 means done; the panel around the form shows the new state --------------------------

document.body.addEventListener('htmx:afterRequest', (event) => {
  const form = event.detail.requestConfig?.elt
  if (!form || form.tagName !== 'FORM') return
  if (!event.detail.successful) return
  toast(say('done'))
  if (form.closest('[data-refresh-page]')) location.reload()
  const panel = form.closest('[data-topics]')
  if (panel) htmx.trigger(panel, 'refresh')
})

document.body.addEventListener('htmx:responseError', (event) => {
  let text = say('failed')
  try {
    const problem = JSON.parse(event.detail.xhr.responseText)
    text = problem.detail || problem.title || text
  } catch {
    // Not problem+json: the general sentence stands.
  }
  if (event.detail.requestConfig.elt.dataset?.topics === undefined) toast(text)
})

document.body.addEventListener('htmx:sendError', (event) => {
  if (event.detail.requestConfig.elt.dataset?.topics === undefined) toast(say('failed'))
})

function toast(text) {
  const box = document.getElementById('toast')
  box.textContent = text
  clearTimeout(toast.timer)
  toast.timer = setTimeout(() => (box.textContent = ''), 6000)
}

// -- search: the key / opens it from anywhere but a field ---------------------------------------------

document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return
  if (event.target.closest('input, textarea, select, [contenteditable]')) return
  const search = document.getElementById('to-search')
  if (!search) return
  event.preventDefault()
  search.click()
})

// -- theme: at once, and remembered in the cookie the server reads -----------------------------------

document.querySelector('[data-theme-switch]')?.addEventListener('submit', (event) => {
  event.preventDefault()
  const dark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches
  root.dataset.theme = dark ? 'light' : 'dark'
  event.target.elements.theme.value = dark ? 'dark' : 'light'
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`
  dispatchEvent(new CustomEvent('dothi:theme'))
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
  dispatchEvent(new CustomEvent('dothi:theme')),
)

// -- print: always light; what is drawn on a canvas is drawn again for paper --------------------------

let shown
addEventListener('beforeprint', () => {
  shown = root.dataset.theme
  root.dataset.theme = 'light'
  dispatchEvent(new CustomEvent('dothi:theme'))
})
addEventListener('afterprint', () => {
  if (shown) root.dataset.theme = shown
  else delete root.dataset.theme
  dispatchEvent(new CustomEvent('dothi:theme'))
})

// -- menus close on Escape and on a click elsewhere ---------------------------------------------------

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return
  const menu = document.querySelector('.menu[open]')
  if (!menu) return
  menu.open = false
  menu.querySelector('summary').focus()
})
document.addEventListener('click', (event) => {
  const menu = document.querySelector('.menu[open]')
  if (menu && !menu.contains(event.target)) menu.open = false
})

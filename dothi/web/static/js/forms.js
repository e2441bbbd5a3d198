// Typing figures: Ctrl+S keeps the draft, leaving with something unsaved asks first, and the first
// fault gets the focus.
const form = document.getElementById('return-form')
const mark = form?.querySelector('[data-unsaved]')
let unsaved = false

form?.addEventListener('input', () => {
  unsaved = true
  mark.hidden = false
})
form?.addEventListener('submit', (event) => {
  unsaved = false
  event.submitter?.setAttribute('aria-busy', 'true')
})
addEventListener('keydown', (event) => {
  if (form && event.key === 's' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    form.requestSubmit(form.querySelector('.return-foot [value=save]'))
  }
})
addEventListener('beforeunload', (event) => {
  if (unsaved) event.preventDefault()
})
addEventListener('pageshow', () => {
  for (const busy of document.querySelectorAll('[aria-busy]')) busy.removeAttribute('aria-busy')
})

// A table: lines are added and taken away in place; without this script the server does both. The
// arrows up and down go from line to line in a column.
const table = form?.querySelector('[data-lines]')
const blank = form?.querySelector('[data-blank]')
const add = form?.querySelector('[data-add]')

function lines() {
  return [...table.tBodies[0].querySelectorAll('[data-line]')]
}

function changed() {
  unsaved = true
  mark.hidden = false
  const full = lines().length >= Number(table.dataset.most)
  add.disabled = full
  form.querySelector('[data-full]').hidden = !full
}

function added() {
  const names = [...table.querySelectorAll('[name^="line."]')].map((one) => Number(one.name.slice(5)))
  const number = Math.max(0, ...names) + 1
  const line = blank.content.querySelector('[data-line]').cloneNode(true)
  for (const one of line.querySelectorAll('*')) {
    for (const attribute of ['name', 'id', 'for', 'value']) {
      const text = one.getAttribute(attribute)
      if (text) one.setAttribute(attribute, text.replace(/^(c-)?(line|cell|remove)\.N/, `$1$2.${number}`))
    }
  }
  const empty = table.tBodies[0].querySelector('tr:not([data-line])')
  empty?.remove()
  table.tBodies[0].append(line)
  line.querySelector('input:not([type=hidden]), select').focus()
  changed()
}

function takenAway(button) {
  const all = lines()
  const at = all.indexOf(button.closest('[data-line]'))
  all[at].remove()
  const next = all[at + 1] ?? all[at - 1]
  const focus = next?.querySelector('input:not([type=hidden]), select') ?? add
  changed()
  focus.focus()
}

if (add) {
  form.addEventListener('click', (event) => {
    if (event.target.closest('[data-add]')) {
      event.preventDefault()
      added()
    } else if (event.target.closest('[data-remove]')) {
      event.preventDefault()
      takenAway(event.target.closest('[data-remove]'))
    }
  })
}
table?.addEventListener('keydown', (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
  if (!step || event.target.tagName !== 'INPUT' || event.altKey || event.ctrlKey || event.metaKey) return
  const cell = event.target.closest('th, td')
  const line = cell?.parentElement
  const all = lines()
  const other = all[all.indexOf(line) + step]
  const next = other?.cells[cell.cellIndex]?.querySelector('input:not([type=hidden]), select')
  if (next) {
    event.preventDefault()
    next.focus()
    next.select?.()
  }
})

form?.querySelector('[aria-invalid]')?.focus()

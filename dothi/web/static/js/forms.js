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

form?.querySelector('[aria-invalid]')?.focus()

// The form that asks in SQL: Ctrl+Enter runs it, and it shows that it is being answered.
const form = document.querySelector('form[data-ask]')
const editor = form.elements.sql

editor.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    form.requestSubmit()
  }
})

form.addEventListener('submit', (event) => {
  // A file leaves the page as it is, so nothing would end the waiting.
  if (event.submitter && 'file' in event.submitter.dataset) return
  form.querySelector('.primary').setAttribute('aria-busy', 'true')
})
addEventListener('pageshow', () => form.querySelector('.primary').removeAttribute('aria-busy'))

document.getElementById('answer')?.scrollIntoView({ block: 'nearest' })

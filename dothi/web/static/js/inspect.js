// Reading a file takes a while: the button shows that it is being done.
const forms = document.querySelectorAll('form[data-busy]')

for (const form of forms) {
  form.addEventListener('submit', (event) => {
    // A file leaves the page as it is, so nothing would end the waiting.
    if (event.submitter && 'file' in event.submitter.dataset) return
    event.submitter?.setAttribute('aria-busy', 'true')
  })
}
addEventListener('pageshow', () => {
  for (const busy of document.querySelectorAll('[aria-busy]')) busy.removeAttribute('aria-busy')
})

document.querySelector('.inspect [role=alert]')?.scrollIntoView({ block: 'center' })

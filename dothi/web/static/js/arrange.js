// <dothi-arrange>: orders a list of tiles by buttons, by Alt with the arrow keys and by dragging. The
// numbers of the rows are the truth that the form sends; without scripts people write them.
class Arrange extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector('ol')
    this.said = this.querySelector('[aria-live]')
    for (const row of this.list.children) {
      row.draggable = true
      row.querySelector('.arrange-place').hidden = true
      row.querySelector('.arrange-move').hidden = false
    }
    this.addEventListener('click', (event) => {
      const button = event.target.closest('[data-step]')
      if (button) this.step(button.closest('li'), Number(button.dataset.step), button)
    })
    this.addEventListener('keydown', (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
      if (!event.altKey || !step) return
      event.preventDefault()
      this.step(event.target.closest('li'), step, event.target)
    })
    this.addEventListener('dragstart', (event) => {
      this.dragged = event.target.closest('li')
      event.dataTransfer.effectAllowed = 'move'
    })
    this.addEventListener('dragover', (event) => {
      const over = event.target.closest('li')
      if (!this.dragged || !over || over === this.dragged) return
      event.preventDefault()
      const box = over.getBoundingClientRect()
      if (event.clientY < box.top + box.height / 2) over.before(this.dragged)
      else over.after(this.dragged)
    })
    this.addEventListener('dragend', () => {
      this.dragged = null
      this.count()
    })
  }

  step(row, step, focus) {
    const beside = step < 0 ? row.previousElementSibling : row.nextElementSibling
    if (!beside) return
    if (step < 0) beside.before(row)
    else beside.after(row)
    this.count()
    focus.focus()
    const place = [...this.list.children].indexOf(row) + 1
    this.said.textContent = `${row.querySelector('.arrange-show').textContent.trim()}: ${place}/${this.list.children.length}`
  }

  count() {
    ;[...this.list.children].forEach((row, index) => (row.querySelector('input[type=number]').value = index + 1))
  }
}

customElements.define('dothi-arrange', Arrange)

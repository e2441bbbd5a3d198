// <dothi-clock data-now>: the server's time, going on. The beats of the live stream set it right.
import { time } from './words.js'

class Clock extends HTMLElement {
  connectedCallback() {
    this.ahead = Date.parse(this.dataset.now) - Date.now()
    this.timer = setInterval(() => this.show(), 1000)
    addEventListener('dothi:now', (this.set = (event) => (this.ahead = event.detail - Date.now())))
  }

  disconnectedCallback() {
    clearInterval(this.timer)
    removeEventListener('dothi:now', this.set)
  }

  show() {
    const now = (Date.now() + this.ahead) / 1000
    const clock = time('clock', now)
    const [face, day] = this.children
    if (face.textContent === clock) return
    face.textContent = clock
    face.dateTime = new Date(now * 1000).toISOString()
    day.replaceChildren(time('weekday', now), document.createElement('br'), time('day', now))
  }
}

customElements.define('dothi-clock', Clock)

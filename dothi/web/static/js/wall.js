// <dothi-wall data-seconds>: shows its slides one after the other, for ever, on a screen nobody touches.
//
// A slide is a div.slide with a live part inside. Only the slide that is shown follows the live
// stream; one that comes next is refreshed shortly before. While the server is away the slides go on
// with what was known, under the notice of <dothi-live>. Keys: arrows, space pauses.
import { say } from './words.js'

const AHEAD_MS = 2_500

class Wall extends HTMLElement {
  connectedCallback() {
    this.slides = [...this.querySelectorAll(':scope > .slide')]
    this.ahead = new WeakSet()
    this.stay = Number(this.dataset.seconds) * 1000
    this.bar()
    document.body.addEventListener('htmx:beforeRequest', (this.ask = (event) => this.allow(event)))
    document.body.addEventListener('htmx:afterSwap', (this.swapped = () => this.compare()))
    addEventListener('keydown', (this.key = (event) => this.pressed(event)))
    document.addEventListener('visibilitychange', (this.seen = () => this.awake()))
    this.awake()
    this.show(0)
    this.run()
  }

  disconnectedCallback() {
    this.stop()
    document.body.removeEventListener('htmx:beforeRequest', this.ask)
    document.body.removeEventListener('htmx:afterSwap', this.swapped)
    removeEventListener('keydown', this.key)
    document.removeEventListener('visibilitychange', this.seen)
  }

  bar() {
    const bar = this.querySelector('.wall-bar')
    this.buttons = this.slides.map((slide, place) => {
      const button = document.createElement('button')
      button.type = 'button'
      button.textContent = slide.dataset.title
      button.addEventListener('click', () => this.go(place))
      return button
    })
    this.pause = document.createElement('button')
    this.pause.type = 'button'
    this.pause.className = 'wall-pause'
    this.pause.textContent = say('pause')
    this.pause.setAttribute('aria-pressed', 'false')
    this.pause.addEventListener('click', () => (this.timer ? this.stop() : this.run()))
    bar.replaceChildren(...this.buttons, this.pause)
    bar.hidden = false
  }

  // Parts of slides that are not shown do not follow the stream.
  allow(event) {
    const slide = event.detail.elt.closest('.slide')
    if (slide?.hidden && !this.ahead.delete(slide)) event.preventDefault()
  }

  // A service whose first figures came, or one that is gone: the page is made anew.
  compare() {
    const wanted = this.querySelector('[data-slides]').dataset.slides
    const shown = this.slides.map((slide) => slide.querySelector('section').id.replace(/^slide-/, ''))
    if (wanted !== shown.join(' ')) location.reload()
  }

  refresh(slide) {
    this.ahead.add(slide)
    htmx.trigger(slide.querySelector('[data-topics]'), 'refresh')
  }

  show(place) {
    this.place = (place + this.slides.length) % this.slides.length
    this.slides.forEach((slide, n) => (slide.hidden = n !== this.place))
    this.buttons.forEach((button, n) => {
      if (n === this.place) button.setAttribute('aria-current', 'true')
      else button.removeAttribute('aria-current')
    })
  }

  go(place) {
    this.show(place)
    this.refresh(this.slides[this.place])
    if (this.timer) this.run()
  }

  run() {
    clearTimeout(this.timer)
    const next = this.slides[(this.place + 1) % this.slides.length]
    this.timer = setTimeout(() => {
      if (next !== this.slides[this.place]) this.refresh(next)
      this.timer = setTimeout(() => {
        this.show(this.place + 1)
        this.run()
      }, Math.min(AHEAD_MS, this.stay / 2))
    }, Math.max(this.stay - AHEAD_MS, this.stay / 2))
    this.pause.setAttribute('aria-pressed', 'false')
  }

  stop() {
    clearTimeout(this.timer)
    this.timer = null
    this.pause.setAttribute('aria-pressed', 'true')
  }

  pressed(event) {
    if (event.target.closest('button, a, input, summary') || event.altKey || event.ctrlKey) return
    if (event.key === 'ArrowRight') this.go(this.place + 1)
    else if (event.key === 'ArrowLeft') this.go(this.place - 1)
    else if (event.key === ' ') this.pause.click()
    else return
    event.preventDefault()
  }

  // The screen must not go to sleep; where the browser has no such lock, its settings decide.
  awake() {
    if (document.visibilityState === 'visible') navigator.wakeLock?.request('screen').catch(() => null)
  }
}

customElements.define('dothi-wall', Wall)

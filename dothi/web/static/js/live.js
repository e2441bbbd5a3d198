// <dothi-live data-url>: one stream of events from the server; says whether the page is live.
//
// GET data-url?topics=a,b&since=<data-heard of the page> answers text/event-stream. Events:
//   hello  {"build": "<digest>", "now": "<ISO 8601>"}   first, on every connection
//   beat   {"now": "<ISO 8601>"}                        at least every 15 s
//   ring   {"topics": ["series:air_quality", "work"]}   something of these changed
// An element with data-topics that names a rung topic is triggered to `refresh` itself (htmx), once
// a second at most. A connection without a beat for 40 s counts as lost. After every new connection
// all live parts refresh, since rings may have been missed; a new build reloads the page. What rang
// while the page was on its way to us rings right after the first hello.
import { say, time } from './words.js'

const SILENCE_MS = 40_000
const COALESCE_MS = 1_000
const WAIT_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000]

class Live extends HTMLElement {
  connectedCallback() {
    this.tries = 0
    this.rung = new Set()
    this.lostAt = null
    this.open()
    addEventListener('online', (this.again = () => this.lostAt && this.open()))
    addEventListener('pagehide', (this.leave = () => this.source?.close()))
    addEventListener('pageshow', (this.back = (event) => event.persisted && this.open()))
  }

  disconnectedCallback() {
    this.source?.close()
    clearTimeout(this.silence)
    clearTimeout(this.retry)
    removeEventListener('online', this.again)
    removeEventListener('pagehide', this.leave)
    removeEventListener('pageshow', this.back)
  }

  open() {
    clearTimeout(this.retry)
    this.source?.close()
    const topics = new Set()
    for (const part of document.querySelectorAll('[data-topics]')) {
      for (const topic of part.dataset.topics.split(' ')) if (topic) topics.add(topic)
    }
    const since = document.documentElement.dataset.heard ?? ''
    const source = new EventSource(`${this.dataset.url}?${new URLSearchParams({ topics: [...topics].join(','), since })}`)
    this.source = source
    source.addEventListener('hello', (event) => this.hello(JSON.parse(event.data)))
    source.addEventListener('beat', (event) => this.heard(JSON.parse(event.data)))
    source.addEventListener('ring', (event) => {
      this.heard()
      for (const topic of JSON.parse(event.data).topics) this.rung.add(topic)
      const wait = Math.max(0, this.lastRefresh + COALESCE_MS - Date.now())
      this.refreshing ??= setTimeout(() => this.refresh(), wait)
    })
    source.onerror = () => this.lost()
    this.watch()
  }

  hello(event) {
    const build = document.documentElement.dataset.build
    if (event.build && event.build !== build && !document.querySelector('dialog[open]')) location.reload()
    const missed = this.lostAt !== null
    this.tries = 0
    this.lostAt = null
    this.heard(event)
    this.show('live', say('live'))
    if (missed) for (const part of document.querySelectorAll('[data-topics]')) htmx.trigger(part, 'refresh')
  }

  heard(event) {
    if (event?.now) dispatchEvent(new CustomEvent('dothi:now', { detail: Date.parse(event.now) }))
    this.lastHeard = Date.now()
    this.watch()
  }

  watch() {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => this.lost(), SILENCE_MS)
  }

  lost() {
    this.source.close()
    clearTimeout(this.silence)
    this.lostAt ??= this.lastHeard ?? Date.now()
    this.show('lost', say('lost_since', { at: time('clock', this.lostAt / 1000) }))
    const wait = WAIT_MS[Math.min(this.tries++, WAIT_MS.length - 1)]
    clearTimeout(this.retry)
    this.retry = setTimeout(() => this.open(), wait * (0.75 + Math.random() / 2))
  }

  refresh() {
    this.refreshing = null
    this.lastRefresh = Date.now()
    const topics = this.rung
    this.rung = new Set()
    for (const part of document.querySelectorAll('[data-topics]')) {
      if (part.dataset.topics.split(' ').some((topic) => topics.has(topic))) htmx.trigger(part, 'refresh')
    }
  }

  show(state, text) {
    this.dataset.state = state
    document.body.dataset.live = state
    const words = this.querySelector('.live-text')
    if (words.textContent !== text) words.textContent = text
  }

  lastRefresh = 0
}

customElements.define('dothi-live', Live)

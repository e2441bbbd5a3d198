// <dothi-chart data-src data-span data-title data-csv>: one stream over any length of time.
//
// GET data-src?span=7d&width=1400            the last 24h, 7d, 30d, 1y or all
// GET data-src?from=1767200400&to=…&width=…  a span in seconds since 1970
// (data-src may hold a query already.) The server cuts the span into at most `width` / 2 buckets of a
// round length (1, 3, 6, 12 hours, 1, 7, 28 days), at local midnight where they can, and answers columns of equal length, one entry for every bucket of the span, empty ones included:
//   { "unit": "µg/m³", "decimals": 1, "from": …, "to": …,   the span answered
//     "first": …, "last": …,                the oldest and newest value of the stream, or null
//     "bucket_s": 3600, "raw": true,        length of a bucket; raw: at most one value in each
//     "t": [bucket start], "min": […], "max": […], "mean": […],   null where no value is valid
//     "labels": ["Tháng 10/2026"] or null,  names of the buckets of series by month, quarter or year
//     "bad": [count of rows kept but not valid: missing marker, invalid, undecided conflict],
//     "scale": "vn_aqi" or null,            draws the classes of the index beside the axis
//     "thresholds": [{"value": 45, "text": "Giá trị giới hạn TB 24 giờ", "source": "QCVN 05:2023/BTNMT",
//                     "from": … or null, "to": … or null}] }      the days it is in force
// A `span` ends now, or at the newest value where that is older than the span.
import { colour, moment, number, rem, say, time, vendor } from './words.js'
import { backdrop, marks } from './chart_draw.js'

const SPANS = ['24h', '7d', '30d', '1y', 'all']
const LEAST_SPAN_S = 3 * 3600
const TABLE_ROWS = 300
// A chart on A4, in CSS pixels.
const PAPER = { width: 680, height: 220 }

class Chart extends HTMLElement {
  connectedCallback() {
    if (!this.draw) this.build()
    this.observer = new ResizeObserver(() => this.resized())
    this.observer.observe(this.draw)
    addEventListener('dothi:theme', (this.themed = () => this.paint()))
    addEventListener('beforeprint', (this.printing = () => this.plot?.setSize(PAPER)))
    addEventListener('afterprint', (this.printed = () => this.resized()))
    this.load({ span: this.dataset.span })
  }

  disconnectedCallback() {
    this.observer.disconnect()
    this.request?.abort()
    removeEventListener('dothi:theme', this.themed)
    removeEventListener('beforeprint', this.printing)
    removeEventListener('afterprint', this.printed)
    this.plot?.destroy()
    this.plot = null
  }

  // A fresh version of this element came from the server: take its attributes, keep the drawing.
  adopt(fresh) {
    const same = fresh.dataset.src === this.dataset.src
    for (const { name, value } of fresh.attributes) this.setAttribute(name, value)
    // News while an answer is on its way: ask once more after it, or a busy hour would never draw.
    if (same && this.request) this.again = true
    else this.load(same ? this.asked : { span: this.dataset.span }, same)
  }

  build() {
    this.replaceChildren()
    this.append(
      element('div', 'chart-bar', [
        (this.spans = element('div', 'choices', SPANS.map((span) => this.spanButton(span)))),
        (this.reset = element('button', 'button', say('reset'))),
      ]),
      (this.draw = element('div', 'chart-draw')),
      element('div', 'chart-foot', [
        (this.more = element('details', 'chart-more', [element('summary', '', say('as_table')), element('div')])),
        (this.key = element('div', 'chart-key')),
      ]),
      (this.spoken = element('p', 'sr')),
    )
    this.spans.setAttribute('role', 'group')
    this.spans.setAttribute('aria-label', say('span'))
    this.reset.type = 'button'
    this.reset.addEventListener('click', () => this.load({ span: this.dataset.span }))
    this.draw.tabIndex = 0
    this.draw.setAttribute('role', 'group')
    this.spoken.setAttribute('aria-live', 'polite')
    this.tip = element('div', 'chart-tip')
    this.tip.hidden = true
    this.note = element('div', 'chart-note')
    this.draw.append(this.tip, this.note)
    this.more.addEventListener('toggle', () => this.tabulate())
    this.draw.addEventListener('keydown', (event) => this.keyed(event))
    this.draw.addEventListener('blur', () => this.moveTo(null))
  }

  spanButton(span) {
    const button = element('button', '', say(`span_${span}`))
    button.type = 'button'
    button.dataset.span = span
    button.addEventListener('click', () => this.load({ span }))
    return button
  }

  async load(asked, quiet = false) {
    this.request?.abort()
    const request = (this.request = new AbortController())
    this.asked = asked
    this.again = false
    this.press()
    if (!this.dataset.src) {
      this.request = null
      return this.tell(say('chart_empty'))
    }
    if (!quiet) this.tell(say('loading'))
    const address = new URL(this.dataset.src, location.href)
    for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value)
    this.askedWidth = Math.max(200, Math.round(this.draw.clientWidth))
    address.searchParams.set('width', this.askedWidth)
    try {
      const [answer, library] = await Promise.all([
        fetch(address, { signal: request.signal, headers: { accept: 'application/json' } }),
        vendor('uplot/uPlot.esm.js'),
      ])
      if (!answer.ok) throw new Error(answer.statusText)
      this.series = await answer.json()
      this.uPlot = library.default
    } catch (error) {
      if (error.name !== 'AbortError' && !quiet) this.failed()
      if (this.request === request) this.request = null
      return
    }
    if (this.request !== request) return
    this.request = null
    this.paint()
    this.tabulate()
    if (this.again) this.load(this.asked, true)
  }

  failed() {
    const again = element('button', 'button', say('retry'))
    again.type = 'button'
    again.addEventListener('click', () => this.load(this.asked))
    this.tell(say('chart_failed'), again)
  }

  tell(text, ...more) {
    this.note.hidden = !text
    this.note.replaceChildren(element('span', '', text || ''), ...more)
  }

  press() {
    this.reset.hidden = this.asked.from === undefined
    for (const button of this.spans.children) {
      button.setAttribute('aria-pressed', String(button.dataset.span === this.asked.span))
    }
  }

  paint() {
    const series = this.series
    if (!series || !this.uPlot) return
    const known = series.max.filter((value) => value !== null)
    this.tell(known.length ? '' : say('chart_empty'))
    this.draw.setAttribute('aria-label', this.label(known))
    this.legend()
    const { uPlot } = this
    const size = rem()
    const font = `${0.75 * size}px Figures, "Be Vietnam Pro", sans-serif`
    const quiet = colour('--text-2')
    const accent = colour('--accent')
    const grid = { stroke: colour('--line'), width: 1 }
    const axis = { stroke: quiet, font, grid, ticks: { show: false } }
    const edge = { stroke: series.raw ? 'transparent' : translucent(accent, 0.45), width: 1, points: { show: false } }
    this.plot?.destroy()
    this.plot = new uPlot(
      {
        ...this.size(),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), document.documentElement.dataset.zone),
        padding: [0.75 * size, 0.5 * size, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 0.5 * size }, focus: { prox: -1 } },
        scales: { x: { time: true, range: () => [series.from, series.to] }, y: { range: () => this.range(known) } },
        axes: [
          { ...axis, space: 5 * size, size: 2 * size, values: (_, ticks, __, ___, step) => ticks.map((tick) => tickText(tick, step)) },
          { ...axis, space: 2.2 * size, size: 3 * size, values: (_, ticks) => ticks.map((tick) => number(tick, decimalsOf(ticks))) },
        ],
        series: [{}, edge, edge, { stroke: accent, width: size / 9, spanGaps: false, points: this.dots(accent) }],
        bands: [{ series: [1, 2], fill: series.raw ? 'transparent' : translucent(accent, 0.22) }],
        hooks: {
          drawClear: [(plot) => backdrop(plot, series, size)],
          draw: [(plot) => marks(plot, series, size, font)],
          setSelect: [(plot) => this.selected(plot)],
          setCursor: [(plot) => this.pointed(plot)],
        },
      },
      [series.t, series.max, series.min, series.mean],
      this.draw,
    )
  }

  // Single values between gaps have no line: they need a dot to be seen.
  dots(stroke) {
    return {
      show: true, size: 4, fill: stroke, stroke,
      filter: (plot, index, show, gaps) => {
        const mean = plot.data[3]
        const lone = []
        for (let i = 0; i < mean.length; i++) {
          if (mean[i] !== null && (mean[i - 1] ?? null) === null && (mean[i + 1] ?? null) === null) lone.push(i)
        }
        return lone.length < 400 ? lone : null
      },
    }
  }

  range(known) {
    const limits = this.series.thresholds.map((limit) => limit.value)
    const high = Math.max(...limits, known.reduce((a, b) => Math.max(a, b), 1))
    const low = known.reduce((a, b) => Math.min(a, b), 0)
    return [low < 0 ? low * 1.1 : 0, high * 1.12]
  }

  size() {
    return { width: this.draw.clientWidth, height: this.draw.clientHeight }
  }

  resized() {
    if (!this.plot) return
    const { width } = this.size()
    this.plot.setSize(this.size())
    if (Math.abs(width - this.askedWidth) > this.askedWidth / 3) this.load(this.asked, true)
  }

  label(known) {
    const { unit, from, to, decimals } = this.series
    const least = known.length ? known.reduce((a, b) => Math.min(a, b)) : null
    const most = known.length ? known.reduce((a, b) => Math.max(a, b)) : null
    const fields = { title: this.dataset.title, from: moment(from), to: moment(to), unit }
    return `${say('chart_label', { ...fields, min: number(least, decimals), max: number(most, decimals) })} ${say('chart_help')}`
  }

  legend() {
    const { raw, bucket_s: bucket, thresholds, bad, unit } = this.series
    const entries = [['key-line', say(raw ? 'measured' : 'mean') + (unit ? ` (${unit})` : '')]]
    if (!raw) entries.push(['key-range', `${say('range')}. ${say('bucket', { length: lengthText(bucket) })}`])
    const texts = new Set(thresholds.map((limit) => `${limit.text} (${limit.source})`))
    for (const text of texts) entries.push(['key-limit', text])
    if (bad.some((count) => count)) entries.push(['key-bad', say('bad_mark')])
    this.key.replaceChildren(...entries.map(([kind, text]) => element('span', '', [element('i', kind), text])))
  }

  // -- pointing and zooming -----------------------------------------------------------------------

  selected(plot) {
    const { left, width } = plot.select
    if (width < 8) return
    const from = plot.posToVal(left, 'x')
    const to = plot.posToVal(left + width, 'x')
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
    this.zoom(from, to)
  }

  zoom(from, to) {
    const middle = (from + to) / 2
    const half = Math.max(to - from, LEAST_SPAN_S) / 2
    // Never past the newest value, nor wholly before the oldest: there is nothing to see.
    const late = Math.max(0, middle + half - Math.max(this.series.last ?? Infinity, this.series.to))
    const early = Math.max(0, (this.series.first ?? -Infinity) - (middle - half))
    const shift = early && !late ? Math.min(early, 2 * half) : -late
    this.load({ from: Math.floor(middle - half + shift), to: Math.ceil(middle + half + shift) })
  }

  pointed(plot) {
    const index = plot.cursor.idx
    this.tip.hidden = index === null || index === undefined
    if (this.tip.hidden) return
    this.tip.replaceChildren(...this.describe(index))
    const left = plot.bbox.left / devicePixelRatio + plot.cursor.left
    const flip = left > this.draw.clientWidth / 2
    this.tip.style.left = flip ? 'auto' : `${left + 12}px`
    this.tip.style.right = flip ? `${this.draw.clientWidth - left + 12}px` : 'auto'
  }

  // A bucket by its name, or by the instant at which it begins.
  when(index) {
    return this.series.labels?.[index] ?? moment(this.series.t[index])
  }

  describe(index) {
    const { min, max, mean, bad, unit, decimals } = this.series
    const lines = [element('div', 'muted', this.when(index))]
    if (mean[index] === null) lines.push(element('div', '', say('chart_empty').replace(/\.$/, '')))
    else lines.push(element('div', '', [element('b', '', number(mean[index], decimals)), ` ${unit}`]))
    if (mean[index] !== null && min[index] !== max[index]) {
      lines.push(element('div', 'muted', `${number(min[index], decimals)} – ${number(max[index], decimals)}`))
    }
    if (bad[index]) lines.push(element('div', 'status is-warning', say('point_bad', { n: bad[index] })))
    return lines
  }

  keyed(event) {
    const { t, from, to } = this.series ?? {}
    if (!t?.length || event.altKey || event.ctrlKey || event.metaKey) return
    const at = this.at ?? t.length
    const step = event.shiftKey ? 10 : 1
    const width = to - from
    const middle = this.at === null || this.at === undefined ? (from + to) / 2 : t[this.at]
    const keys = {
      ArrowLeft: () => this.moveTo(Math.max(0, at - step)),
      ArrowRight: () => this.moveTo(Math.min(t.length - 1, this.at == null ? 0 : at + step)),
      Home: () => this.moveTo(0),
      End: () => this.moveTo(t.length - 1),
      '+': () => this.zoom(middle - width / 4, middle + width / 4),
      '=': () => this.zoom(middle - width / 4, middle + width / 4),
      '-': () => this.zoom(middle - width, middle + width),
      PageUp: () => this.zoom(from - width, from),
      PageDown: () => this.zoom(to, to + width),
      0: () => this.load({ span: this.dataset.span }),
      Escape: () => this.moveTo(null),
    }
    if (!keys[event.key]) return
    event.preventDefault()
    keys[event.key]()
  }

  moveTo(index) {
    this.at = index
    if (!this.plot) return
    if (index === null) {
      this.plot.setCursor({ left: -10, top: -10 })
      return
    }
    this.plot.setCursor({ left: this.plot.valToPos(this.series.t[index], 'x'), top: 1 })
    clearTimeout(this.speaking)
    this.speaking = setTimeout(() => (this.spoken.textContent = this.sentence(index)), 150)
  }

  sentence(index) {
    const { min, max, mean, bad, unit, decimals, t, thresholds } = this.series
    const fields = { at: this.when(index), unit, value: number(mean[index], decimals), min: number(min[index], decimals), max: number(max[index], decimals) }
    let text = say(mean[index] === null ? 'point_missing' : min[index] === max[index] ? 'point' : 'point_range', fields)
    const limit = thresholds.find((l) => (l.from ?? -Infinity) <= t[index] && t[index] < (l.to ?? Infinity))
    if (limit && max[index] > limit.value) text += `, ${say('above', { limit: number(limit.value) })}`
    if (bad[index]) text += `. ${say('point_bad', { n: bad[index] })}`
    return text
  }

  // -- the same as a table --------------------------------------------------------------------------

  tabulate() {
    if (!this.more.open || !this.series) return
    const { t, min, max, mean, bad, unit, decimals, raw } = this.series
    const heads = [say('time'), ...(raw ? [say('measured') + (unit ? ` (${unit})` : '')] : [say('lowest'), say('mean'), say('highest') + (unit ? ` (${unit})` : '')]), say('invalid')]
    const rows = []
    for (let i = t.length - 1; i >= 0 && rows.length < TABLE_ROWS; i--) {
      const values = raw ? [mean[i]] : [min[i], mean[i], max[i]]
      rows.push(element('tr', '', [
        element('td', '', this.when(i)),
        ...values.map((value) => element('td', 'right', number(value, decimals))),
        element('td', 'right', bad[i] ? number(bad[i]) : ''),
      ]))
    }
    const head = element('tr', '', heads.map((text, i) => Object.assign(element('th', i ? 'right' : '', text), { scope: 'col' })))
    const box = element('div', 'table-box', [element('table', 'table', [element('thead', '', [head]), element('tbody', '', rows)])])
    box.tabIndex = 0
    box.setAttribute('role', 'group')
    box.setAttribute('aria-label', this.dataset.title)
    const parts = [box]
    if (rows.length < t.length) parts.push(element('p', 'muted', say('table_cut', { shown: number(rows.length), total: number(t.length) })))
    if (this.dataset.csv) parts.push(Object.assign(element('a', '', say('csv')), { href: this.dataset.csv, download: '' }))
    this.more.lastElementChild.replaceChildren(...parts)
  }
}

function element(name, className = '', content = []) {
  const made = document.createElement(name)
  if (className) made.className = className
  made.append(...(typeof content === 'string' ? [content] : content))
  return made
}

const translucent = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`)

function lengthText(seconds) {
  if (seconds % 86400 === 0) return say('days', { n: seconds / 86400 })
  if (seconds % 3600 === 0) return say('hours', { n: seconds / 3600 })
  return say('minutes', { n: number(seconds / 60) })
}

function tickText(tick, step) {
  if (step >= 28 * 86400) return time('day', tick).slice(3)
  if (step >= 86400) return time('dayMonth', tick)
  const clock = time('clock', tick)
  return clock === '00:00' ? time('dayMonth', tick) : clock
}

function decimalsOf(ticks) {
  const step = ticks[1] - ticks[0]
  return step >= 1 || !step ? 0 : Math.min(3, Math.ceil(-Math.log10(step)))
}

customElements.define('dothi-chart', Chart)

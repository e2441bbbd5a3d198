// What the chart draws on its canvas beside the line: gaps, limits, classes, marks of invalid rows.
import { colour, number } from './words.js'

const CLASSES = [
  [0, 50, 'rgb(0 228 0)'], [50, 100, 'rgb(255 255 0)'], [100, 150, 'rgb(255 126 0)'],
  [150, 200, 'rgb(255 0 0)'], [200, 300, 'rgb(143 63 151)'], [300, 500, 'rgb(126 0 35)'],
]

// Under the line: spans without any valid value, and the classes of VN_AQI beside the axis.
export function backdrop(plot, series, size) {
  const { ctx } = plot
  const { left, top, width, height } = plot.bbox
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, width, height)
  ctx.clip()
  ctx.fillStyle = colour('--text-2')
  ctx.globalAlpha = 0.09
  for (const [from, to] of gaps(series)) {
    const x = plot.valToPos(from, 'x', true)
    ctx.fillRect(x, top, plot.valToPos(to, 'x', true) - x, height)
  }
  ctx.globalAlpha = 1
  ctx.restore()
  if (series.scale !== 'vn_aqi') return
  const bar = Math.round(0.28 * size * devicePixelRatio)
  for (const [low, high, fill] of CLASSES) {
    const y = Math.max(top, plot.valToPos(high, 'y', true))
    const end = Math.min(top + height, plot.valToPos(low, 'y', true))
    if (end <= y) continue
    ctx.fillStyle = fill
    ctx.fillRect(left - bar, y, bar, end - y)
  }
}

// Over the line: limits with the days they are in force, and a mark for every bucket with invalid rows.
export function marks(plot, series, size, font) {
  const { ctx } = plot
  const { left, top, width, height } = plot.bbox
  const unit = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, width, height)
  ctx.clip()
  ctx.strokeStyle = ctx.fillStyle = colour('--warning')
  ctx.lineWidth = 0.09 * size * unit
  ctx.font = scaled(font, unit)
  ctx.textAlign = 'left'
  ctx.textBaseline = 'bottom'
  for (const limit of series.thresholds) {
    const from = Math.max(limit.from ?? series.from, series.from)
    const to = Math.min(limit.to ?? series.to, series.to)
    if (to <= from) continue
    const x1 = plot.valToPos(from, 'x', true)
    const x2 = plot.valToPos(to, 'x', true)
    const y = Math.round(plot.valToPos(limit.value, 'y', true))
    ctx.setLineDash([0.4 * size * unit, 0.25 * size * unit])
    ctx.beginPath()
    ctx.moveTo(x1, y)
    ctx.lineTo(x2, y)
    ctx.stroke()
    if (x2 - x1 > 4 * size * unit) ctx.fillText(number(limit.value), x1 + 0.25 * size * unit, y - 0.12 * size * unit)
  }
  ctx.setLineDash([])
  ctx.globalAlpha = 0.9
  const tick = 0.5 * size * unit
  const wide = Math.max(unit, width / Math.max(series.t.length, 1) - unit)
  for (let i = 0; i < series.t.length; i++) {
    if (!series.bad[i]) continue
    const x = plot.valToPos(series.t[i], 'x', true)
    ctx.fillRect(x, top + height - tick, Math.min(wide, 0.19 * size * unit), tick)
  }
  ctx.restore()
}

function* gaps({ t, mean, bucket_s: bucket }) {
  let start = null
  for (let i = 0; i <= t.length; i++) {
    const empty = i < t.length && mean[i] === null
    if (empty && start === null) start = t[i]
    if (!empty && start !== null) {
      yield [start - bucket / 2, t[i - 1] + bucket / 2]
      start = null
    }
  }
}

const scaled = (font, unit) => font.replace(/^[\d.]+/, (size) => size * unit)

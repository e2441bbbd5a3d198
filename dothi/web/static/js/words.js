// The page's texts, and numbers and times written as its language does.
const words = JSON.parse(document.getElementById('words').textContent)
export const lang = document.documentElement.lang
const zone = document.documentElement.dataset.zone
const locale = lang === 'vi' ? 'vi-VN' : 'en-GB'

export function say(key, fields = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => fields[name])
}

export function number(value, decimals = 0) {
  if (value === null || value === undefined) return '—'
  return value
    .toLocaleString(locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    .replace('-', '−')
}

const formats = {
  clock: { hour: '2-digit', minute: '2-digit' },
  day: { day: '2-digit', month: '2-digit', year: 'numeric' },
  dayMonth: { day: '2-digit', month: '2-digit' },
  weekday: { weekday: 'long' },
}
const writers = {}
for (const [name, options] of Object.entries(formats)) {
  writers[name] = new Intl.DateTimeFormat(locale, { timeZone: zone, hourCycle: 'h23', ...options })
}

// Time as seconds since 1970, written in the province's zone: clock 08:24, day 21/11/2026.
export const time = (name, seconds) => writers[name].format(seconds * 1000).replace(/-/g, '/')
export const moment = (seconds) => `${time('clock', seconds)}, ${time('day', seconds)}`

// A colour token as a canvas needs it, in the theme shown now.
export function colour(token) {
  const probe = document.createElement('span')
  probe.hidden = true
  probe.style.color = `var(${token})`
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  return value
}

export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize)

// A library of the vendor tree, fetched when first needed.
export const vendor = (path) => import(document.documentElement.dataset.vendor + path)

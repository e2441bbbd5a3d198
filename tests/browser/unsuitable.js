// What would shame a page although nothing is broken, one line for each; run in the browser.
//
// Lines too long to read, content that leaves most of a large screen empty, and forms of dates and
// numbers that are not the reader's. Left out: what a program reads (code, addresses), what people typed.
() => {
  const found = []
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !e.closest('.sr, dialog:not([open])')
  const vietnamese = document.documentElement.lang === 'vi'
  const foreign = [
    [/\b\d{4}-\d\d-\d\d\b/, 'a date in another form'],
    [/^(None|null|True|False)$|\b(NaN|undefined)\b|\[object Object\]/, 'a word of programs'],
    [/\{\{|\}\}|\{[a-z_]+\}/, 'an unfilled place'],
    ...(vietnamese ? [[/\d\.\d{1,2}\s?(%|µg|mg|dB|km|m²|°C|điểm)/, 'a decimal point']] : []),
  ]
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim()
    const e = walk.currentNode.parentElement
    if (!text || e.closest('script, template, style, svg, code, pre, kbd, textarea, dothi-map, .code, .mono') || !seen(e)) continue
    for (const [pattern, what] of foreign) if (pattern.test(text)) found.push(`${what}: “${text.slice(0, 60)}”`)
    // A line of more than 120 letters is not read to its end.
    const range = document.createRange()
    range.selectNodeContents(e)
    const size = parseFloat(getComputedStyle(e).fontSize)
    const widest = Math.max(0, ...[...range.getClientRects()].map((r) => r.width))
    if (text.length > 140 && widest / (size * 0.5) > 140) found.push(`a line of ${Math.round(widest / (size * 0.5))} letters: “${text.slice(0, 40)}”`)
  }
  const main = document.querySelector('main')
  if (main && innerWidth > 1000) {
    const room = main.getBoundingClientRect()
    const right = Math.max(...[...main.querySelectorAll('*')].filter(seen).map((e) => e.getBoundingClientRect().right))
    if ((right - room.left) / room.width < 0.5) found.push(`only ${Math.round(100 * (right - room.left) / room.width)} % of the width is used`)
  }
  return [...new Set(found)]
}

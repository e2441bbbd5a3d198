// What a person cannot read or press on the page as it stands, one line for each; run in the browser.
//
// Text counts as cut off when a box that hides its overflow covers a part of it; what a scrolling box
// holds can be reached, and a footer's line that is hidden whole is left out on purpose. Two controls
// overlap when their visible boxes do. Left out: what lies on the map, where the ground decides, and
// what stays in view above the scrolled page (sticky, fixed).
() => {
  const found = []
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''}.${e.className.baseVal ?? e.className} “${e.textContent.trim().slice(0, 40)}”`
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !e.closest('.sr, dothi-map, dialog:not([open])')
  const styles = new Map()
  const style = (e) => styles.get(e) ?? styles.set(e, getComputedStyle(e)).get(e)

  // The part of a box (of element e) that its ancestors let through; `cut`: how much is lost for good.
  function visible(e, box) {
    let { left, top, right, bottom } = box
    let cut = 0
    for (let up = e; up && up !== document.body; up = up.parentElement) {
      const { overflowX, overflowY, clipPath, position } = style(up)
      if (clipPath !== 'none') return null
      if (overflowX !== 'visible' || overflowY !== 'visible') {
        const edge = up.getBoundingClientRect()
        if (overflowX === 'hidden' || overflowX === 'clip') cut = Math.max(cut, edge.left - left, right - edge.right)
        if (overflowY === 'hidden' || overflowY === 'clip') cut = Math.max(cut, edge.top - top, bottom - edge.bottom)
        left = Math.max(left, edge.left)
        top = Math.max(top, edge.top)
        right = Math.min(right, edge.right)
        bottom = Math.min(bottom, edge.bottom)
        if (right - left < 1 || bottom - top < 1) return { cut, hidden: true }
      }
      if (position === 'fixed') break
    }
    return { left, top, right, bottom, cut }
  }
  const layer = (e) => {
    for (let up = e; up; up = up.parentElement) if (['fixed', 'sticky'].includes(style(up).position)) return up
    return null
  }
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5

  // -- text: lines that are cut off, and lines that lie on each other --
  const lines = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const node = walk.currentNode
    const e = node.parentElement
    if (!node.data.trim() || e.closest('script, template, svg, noscript, meter') || !seen(e)) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const rect of range.getClientRects()) {
      // A line's box is taller than its letters.
      const slack = rect.height * 0.22
      const box = { left: rect.left, right: rect.right, top: rect.top + slack, bottom: rect.bottom - slack }
      const part = visible(e, box)
      if (!part || (part.hidden && e.closest('.latest'))) continue
      if (part.cut > 1) found.push(`cut off by ${Math.round(part.cut)} px: ${name(e)}`)
      if (!part.hidden) lines.push({ e, layer: layer(e), ...part })
    }
  }
  for (let i = 0; i < lines.length; i++) {
    for (let j = i + 1; j < lines.length; j++) {
      const [a, b] = [lines[i], lines[j]]
      if (a.layer === b.layer && a.e !== b.e && meet(a, b)) found.push(`text on text: ${name(a.e)} and ${name(b.e)}`)
    }
  }

  // -- controls --
  const controls = []
  for (const e of document.querySelectorAll('a, button, summary, input:not([type=hidden]), textarea, select, [tabindex="0"]')) {
    if (!seen(e)) continue
    // A link in running text may go on in the next line: a box for each of its lines.
    for (const box of style(e).display === 'inline' ? e.getClientRects() : [e.getBoundingClientRect()]) {
      const part = visible(e, box)
      if (part && !part.hidden) controls.push({ e, layer: layer(e), ...part })
    }
  }
  for (let i = 0; i < controls.length; i++) {
    for (let j = i + 1; j < controls.length; j++) {
      const [a, b] = [controls[i], controls[j]]
      if (a.layer !== b.layer || a.e.contains(b.e) || b.e.contains(a.e)) continue
      if (meet(a, b)) found.push(`control on control: ${name(a.e)} and ${name(b.e)}`)
    }
  }

  // -- the words of the navigation stand apart --
  const entries = [...document.querySelectorAll('nav.side span')].filter(seen).map((e) => [e, e.getBoundingClientRect()])
  for (const [i, [a, first]] of entries.entries()) {
    const next = entries[i + 1]
    if (next && next[1].top < first.bottom && first.top < next[1].bottom && next[1].left - first.right < 4) found.push(`words touch: ${name(a)} and ${name(next[0])}`)
  }

  // -- a scrolling box shows enough of what it holds --
  for (const e of document.querySelectorAll('.panel-body, .chart-draw, dothi-map')) {
    const least = Math.min(e.scrollHeight, 96)
    if (e.checkVisibility() && e.clientHeight < least) found.push(`only ${e.clientHeight} px high: ${name(e)}`)
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} px wide`)
  return [...new Set(found)]
}

// <dothi-map data-base data-bounds data-stations>: the province and its stations.
//
// data-opens is the address that a click on a unit opens, with {code} in it.
// data-base is GeoJSON (see MapView); data-stations is the id of the list whose items carry
// data-lon, data-lat, data-aqi, data-class, data-name, data-word and a <template> for the popup;
// data-label is what the marker is called in other words.
// The list is the truth: when it changes, the markers follow; without WebGL it stands alone.
import { colour, rem, say, vendor } from './words.js'

// Narrower maps open a station in the dialog: there is no room for a popup.
const SMALL = 640
// The largest map on a printed page, in CSS pixels: 186 mm of A4 are 703 px.
const PAPER = { width: 700, height: 420 }

class StationMap extends HTMLElement {
  connectedCallback() {
    this.pins = new Map()
    this.start().catch(() => this.tell(say('map_none')))
    addEventListener('dothi:theme', (this.themed = () => this.recolour()))
    addEventListener('beforeprint', (this.printing = () => this.shrink()))
    addEventListener('afterprint', (this.printed = () => this.paper?.remove()))
  }

  disconnectedCallback() {
    removeEventListener('dothi:theme', this.themed)
    removeEventListener('beforeprint', this.printing)
    removeEventListener('afterprint', this.printed)
    document.body.removeEventListener('htmx:afterSwap', this.swapped)
    this.map?.remove()
  }

  tell(text) {
    const note = document.createElement('p')
    note.className = 'map-note'
    note.textContent = text
    this.replaceChildren(note)
  }

  async start() {
    if (!document.createElement('canvas').getContext('webgl2')) throw new Error('no WebGL')
    const [library, base] = await Promise.all([
      vendor('maplibre/maplibre-gl.mjs'),
      fetch(this.dataset.base).then((answer) => (answer.ok ? answer.json() : null)),
      document.fonts.load('500 16px "Be Vietnam Pro"', 'Aạđ').catch(() => null),
    ])
    if (!base) return this.tell(say('map_failed'))
    this.library = library
    this.base = base
    const [west, south, east, north] = this.dataset.bounds.split(',').map(Number)
    this.bounds = [[west, south], [east, north]]
    const canvas = document.createElement('div')
    canvas.className = 'map-canvas'
    this.replaceChildren(canvas)
    this.map = new library.Map({
      container: canvas,
      style: this.look(),
      bounds: this.bounds,
      fitBoundsOptions: { padding: this.padding() },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: 0,
      renderWorldCopies: false,
      cooperativeGestures: true,
      locale: {
        'Map.Title': say('map_label'),
        'Popup.Close': say('close'),
        'CooperativeGesturesHandler.WindowsHelpText': say('map_wheel'),
        'CooperativeGesturesHandler.MacHelpText': say('map_wheel_mac'),
        'CooperativeGesturesHandler.MobileHelpText': say('map_touch'),
      },
    })
    this.map.touchZoomRotate.disableRotation()
    this.map.addControl(new Buttons(this), 'top-right')
    this.map.on('movestart', (event) => (this.moved ||= Boolean(event.originalEvent)))
    this.map.on('resize', () => this.moved || this.home(0))
    this.map.on('load', () => this.recolour())
    this.map.on('resize', () => this.wheel())
    this.map.on('style.load', () => this.map.addImage('pin', { width: 1, height: 1, data: new Uint8Array(4) }))
    this.map.on('idle', () => (this.dataset.state = 'ready'))
    this.map.on('styledata', () => this.glow())
    if (this.dataset.opens) this.openUnits()
    this.wheel()
    this.follow()
  }

  // A unit is opened by a click on it; the list beside the map has the same links for the keyboard.
  openUnits() {
    const layers = ['spot', 'land', 'names', 'names-aside']
    const there = (event) => this.map.queryRenderedFeatures(event.point, { layers }).find((f) => f.properties.code)
    this.map.on('click', (event) => {
      const code = there(event)?.properties.code
      if (code) location.assign(this.dataset.opens.replace('{code}', encodeURIComponent(code)))
    })
    this.map.on('mousemove', (event) => {
      this.map.getCanvas().style.cursor = there(event) ? 'pointer' : ''
    })
  }

  // Where the page scrolls the wheel is the page's: the map asks for Ctrl.
  wheel() {
    const page = document.documentElement
    if (page.scrollHeight > page.clientHeight + 1) this.map.cooperativeGestures.enable()
    else this.map.cooperativeGestures.disable()
  }

  // On paper the map is what the screen shows, scaled: markers and canvas together. Sized anew it
  // would have to fetch and draw, and printing does not wait; nor does it take a frame of WebGL that
  // was not on the screen yet, hence the copy.
  shrink() {
    if (!this.map) return
    this.map.redraw()
    const drawn = this.map.getCanvas()
    const paper = (this.paper = document.createElement('canvas'))
    Object.assign(paper, { width: drawn.width, height: drawn.height, className: 'map-paper' })
    paper.getContext('2d').drawImage(drawn, 0, 0)
    drawn.after(paper)
    const { clientWidth: width, clientHeight: height } = this
    const scale = Math.min(PAPER.width / width, PAPER.height / height)
    for (const [name, value] of Object.entries({ width: `${width}px`, height: `${height}px`, scale })) {
      this.style.setProperty(`--print-${name}`, value)
    }
  }

  recolour() {
    if (!this.map?.getLayer('outside')) return
    for (const { id, paint = {} } of this.look().layers) {
      for (const [name, value] of Object.entries(paint)) this.map.setPaintProperty(id, name, value)
    }
    this.map.redraw()
  }

  padding() {
    const size = rem()
    return this.clientWidth < SMALL
      ? { top: 5.5 * size, bottom: size, left: size, right: size }
      : { top: 3.25 * size, bottom: 1.25 * size, left: 1.5 * size, right: 1.5 * size }
  }

  home(duration = 300) {
    this.moved = false
    this.map.fitBounds(this.bounds, { padding: this.padding(), duration })
  }

  // -- the ground, from our own data ----------------------------------------------------------------

  look() {
    const size = rem() / 16
    const kind = (...kinds) => ['in', ['get', 'kind'], ['literal', kinds]]
    const shape = (id, type, filter, paint, layout = {}) => ({ id, type, source: 'base', filter, paint, layout })
    const round = { 'line-join': 'round', 'line-cap': 'round' }
    return {
      version: 8,
      transition: { duration: 0, delay: 0 },
      sources: {
        base: { type: 'geojson', data: this.base },
        stations: { type: 'geojson', data: this.points() },
      },
      layers: [
        { id: 'outside', type: 'background', paint: { 'background-color': colour('--outside') } },
        shape('sea', 'fill', kind('sea'), { 'fill-color': colour('--water'), 'fill-opacity': 0.5 }),
        shape('land', 'fill', kind('commune', 'chosen'), { 'fill-color': colour('--land') }),
        shape('borders', 'line', kind('commune'), { 'line-color': colour('--land-line'), 'line-width': size }),
        shape('water', 'fill', kind('water'), { 'fill-color': colour('--water') }),
        shape('river', 'line', kind('river'), { 'line-color': colour('--water'), 'line-width': ['*', size, ['coalesce', ['get', 'width'], 4]] }, round),
        shape('road', 'line', kind('road'), { 'line-color': colour('--road'), 'line-width': 1.4 * size, 'line-opacity': 0.9 }, round),
        shape('chosen', 'fill', kind('chosen'), { 'fill-color': colour('--accent'), 'fill-opacity': 0.16 }),
        shape('chosen-line', 'line', kind('chosen'), { 'line-color': colour('--accent'), 'line-width': 2 * size }, round),
        shape('spot', 'circle', kind('spot'), {
          'circle-color': ['case', ['boolean', ['get', 'chosen'], false], colour('--accent'), colour('--text-2')],
          'circle-radius': ['case', ['boolean', ['get', 'chosen'], false], 8 * size, 3.5 * size],
        }),
        shape('outline', 'line', kind('province'), { 'line-color': colour('--text-2'), 'line-width': 1.3 * size, 'line-opacity': 0.8 }),
        {
          id: 'glow', type: 'circle', source: 'stations',
          paint: { 'circle-color': ['get', 'colour'], 'circle-radius': 46 * size, 'circle-blur': 1, 'circle-opacity': 0.5 },
        },
        // A name stands in its unit, or beside the dot of one without outline.
        ...[['names', false, ['center', 'top', 'bottom', 'left', 'right']], ['names-aside', true, ['top', 'bottom', 'left', 'right']]].map(([id, aside, anchors]) => ({
          id, type: 'symbol', source: 'base', filter: ['all', kind('place'), ['==', ['coalesce', ['get', 'aside'], false], aside]],
          layout: {
            'text-field': ['get', 'name'], 'text-font': ['Be Vietnam Pro'], 'text-size': 12 * size,
            'text-padding': 2 * size, 'text-variable-anchor': anchors,
            'text-radial-offset': aside ? 0.8 : 1.8, 'symbol-sort-key': ['get', 'rank'],
          },
          paint: { 'text-color': colour('--text-2'), 'text-halo-color': colour('--land'), 'text-halo-width': 1.4 * size },
        })),
        // Nothing to see: keeps the names away from the markers.
        {
          id: 'pins', type: 'symbol', source: 'stations',
          layout: { 'icon-image': 'pin', 'icon-padding': 17 * size, 'icon-allow-overlap': true },
        },
      ],
    }
  }

  // -- the stations ---------------------------------------------------------------------------------

  items() {
    return [...(document.getElementById(this.dataset.stations)?.querySelectorAll('[data-lon]') ?? [])]
  }

  points() {
    const features = this.items().map((item) => ({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [Number(item.dataset.lon), Number(item.dataset.lat)] },
      properties: { colour: item.dataset.class === 'none' ? 'transparent' : getComputedStyle(item.querySelector('.badge path')).fill },
    }))
    return { type: 'FeatureCollection', features }
  }

  glow() {
    const source = this.map.getSource('stations')
    const points = this.points()
    const text = JSON.stringify(points)
    if (!source || text === this.shown) return
    this.shown = text
    source.setData(points)
  }

  follow() {
    this.place()
    this.swapped = (event) => {
      if (event.detail.target.id !== this.dataset.stations) return
      this.place()
      this.glow()
    }
    document.body.addEventListener('htmx:afterSwap', this.swapped)
  }

  place() {
    const kept = new Set()
    // Worst last, so that it lies on top and is reached first where stations stand close.
    for (const item of this.items().reverse()) {
      kept.add(item.id)
      const pin = this.pins.get(item.id) ?? this.pin(item)
      const { name, aqi, word, label } = item.dataset
      pin.button.setAttribute('aria-label', label ?? say(aqi ? 'station_label' : 'station_none', { name, aqi, word }))
      pin.button.replaceChildren(item.querySelector('.badge').cloneNode(true))
      this.refreshPopup(item)
      pin.marker.setLngLat([Number(item.dataset.lon), Number(item.dataset.lat)])
    }
    for (const [id, pin] of this.pins) {
      if (kept.has(id)) continue
      pin.marker.remove()
      this.pins.delete(id)
    }
  }

  pin(item) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'map-pin'
    button.addEventListener('click', (event) => {
      event.stopPropagation()
      this.open(item.id)
    })
    const marker = new this.library.Marker({ element: button })
      .setLngLat([Number(item.dataset.lon), Number(item.dataset.lat)])
      .addTo(this.map)
    // MapLibre gives markers the role of an image; ours are buttons.
    button.removeAttribute('role')
    const pin = { button, marker }
    this.pins.set(item.id, pin)
    return pin
  }

  open(id) {
    this.popup?.remove()
    const item = document.getElementById(id)
    const { button } = this.pins.get(id)
    const content = item.querySelector('template').content.cloneNode(true)
    if (this.clientWidth < SMALL) {
      content.querySelector('.popup-name').id = 'dialog-title'
      dispatchEvent(new CustomEvent('dothi:dialog', { detail: content }))
      return
    }
    const popup = new this.library.Popup({ offset: 1.4 * rem(), maxWidth: '20rem', closeButton: true })
      .setLngLat([Number(item.dataset.lon), Number(item.dataset.lat)])
      .setDOMContent(content)
      .addTo(this.map)
    this.popup = popup
    this.opened = id
    button.setAttribute('aria-expanded', 'true')
    const box = popup.getElement()
    box.setAttribute('role', 'dialog')
    box.setAttribute('aria-label', item.dataset.name)
    htmx.process(box)
    box.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return
      event.stopPropagation()
      popup.remove()
      button.focus()
    })
    requestAnimationFrame(() => this.reveal(box))
    popup.on('close', () => button.setAttribute('aria-expanded', 'false'))
  }

  refreshPopup(item) {
    const shown = this.popup?.isOpen() && this.opened === item.id && this.popup.getElement().querySelector('.popup')
    if (!shown) return
    shown.replaceChildren(...item.querySelector('template').content.firstElementChild.cloneNode(true).childNodes)
    htmx.process(shown)
  }

  // Moves the map just so far that the whole popup is in view.
  reveal(box) {
    const inside = this.getBoundingClientRect()
    const shown = box.getBoundingClientRect()
    const edge = 0.5 * rem()
    const right = Math.max(0, shown.right + edge - inside.right) || Math.min(0, shown.left - edge - inside.left)
    const down = Math.max(0, shown.bottom + edge - inside.bottom) || Math.min(0, shown.top - edge - inside.top)
    if (right || down) this.map.panBy([right, down], { duration: 200 })
  }
}

// Zoom and home, in our own words and size.
class Buttons {
  constructor(owner) {
    this.owner = owner
  }

  onAdd(map) {
    this.box = document.createElement('div')
    this.box.className = 'maplibregl-ctrl maplibregl-ctrl-group'
    this.button('+', 'zoom_in', () => map.zoomIn())
    this.button('−', 'zoom_out', () => map.zoomOut())
    this.button('⌂', 'home_view', () => this.owner.home())
    return this.box
  }

  onRemove() {
    this.box.remove()
  }

  button(sign, key, act) {
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = sign
    button.title = say(key)
    button.setAttribute('aria-label', say(key))
    button.addEventListener('click', act)
    this.box.append(button)
  }
}

customElements.define('dothi-map', StationMap)

// A line plot over the last quarter of an hour, drawn as SVG.
import { html, useLayoutEffect, useRef, useState } from './ui.js';

const H = 150, LEFT = 54, BOTTOM = 20, TOP = 8;

// Plot draws series { name, tone, values }, whose values are numbers or null, one
// for each second; the last stands at the right. format writes a value.
export function Plot({ title, series, times, kept, format, least = 0, unit = 1 }) {
  const [W, setWidth] = useState(600);
  const box = useRef(null);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(Math.max(200, Math.round(e.contentRect.width))));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const [at, point] = useState(null);
  const n = times.length;
  const top = unit * nice(Math.max(least, ...series.map((s) => s.values.reduce((m, v) => v > m ? v : m, 0))) / unit);
  const x = (i) => LEFT + (W - LEFT - 4) * (kept - n + i) / Math.max(1, kept - 1);
  const y = (v) => TOP + (H - TOP - BOTTOM) * (1 - v / top);
  const shown = at === null || at >= n ? n - 1 : at;
  const move = (e) => {
    const box = e.currentTarget.getBoundingClientRect();
    const i = Math.round(((e.clientX - box.left) / box.width * W - LEFT) / (W - LEFT - 4) * (kept - 1)) - (kept - n);
    point(i >= 0 && i < n ? i : null);
  };
  const told = series.map((s) => `${s.name} ${value(s.values[n - 1], format)}`).join(', ');
  return html`<figure class="plot">
    <figcaption><h2>${title}</h2>
      <div class="legend">${series.map((s) => html`<span key=${s.name}><i class=${'key ' + s.tone}></i>${series.length > 1 ? s.name + ' ' : ''}<b>${value(s.values[shown], format)}</b></span>`)}
      ${at !== null && shown !== n - 1 && html`<span class="soft">${clock(times[shown])}</span>`}</div></figcaption>
    <svg ref=${box} viewBox=${`0 0 ${W} ${H}`} role="img" aria-label=${`${title}: now ${told}`} onPointerMove=${move} onPointerLeave=${() => point(null)}>
      ${[0, .5, 1].map((f) => html`<g key=${f}><line class="grid" x1=${LEFT} x2=${W - 4} y1=${y(top * f)} y2=${y(top * f)} />
        <text x=${LEFT - 6} y=${y(top * f) + 4} text-anchor="end">${format(top * f)}</text></g>`)}
      ${[15, 10, 5, 0].map((m) => html`<text key=${m} x=${W - 4 - (W - LEFT - 4) * m / 15} y=${H - 4} text-anchor=${m === 0 ? 'end' : m === 15 ? 'start' : 'middle'}>${m ? `−${m} min` : 'now'}</text>`)}
      ${series.map((s) => html`<path key=${s.name} class=${'line ' + s.tone} d=${path(s.values, x, y)} />`)}
      ${at !== null && n > 0 && html`<line class="cursor" x1=${x(shown)} x2=${x(shown)} y1=${TOP} y2=${H - BOTTOM} />`}
    </svg>
  </figure>`;
}

// path joins what is there; a value alone between gaps is a dot.
function path(values, x, y) {
  let d = '';
  let pen = false;
  values.forEach((v, i) => {
    if (v === null) {
      pen = false;
      return;
    }
    d += `${pen ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    if (!pen) d += 'h.01';
    pen = true;
  });
  return d;
}

const value = (v, format) => v === null || v === undefined ? '–' : format(v);

const clock = (at) => new Date(at * 1000).toLocaleTimeString();

// nice is the next of 1, 2, 5, 10, … above a value.
function nice(v) {
  if (v <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].find((f) => f * power >= v) * power;
}

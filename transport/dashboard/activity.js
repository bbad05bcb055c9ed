// Activity: what the gateway did in the last 15 minutes.
import { useGateway } from './gateway.js';
import { html } from './ui.js';
import { Plot } from './plot.js';
import { Empty, Trouble } from './parts.js';
import { count, inWords } from './words.js';

export function Activity() {
  const { samples, kept, state, failure } = useGateway();
  if (state === 'ended') return html`<div class="page" tabindex="0"><${Trouble} error=${failure} /></div>`;
  const last = samples.at(-1);
  const of = (f) => samples.map(f);
  const times = of((s) => s.at);
  const errors = of((s) => Object.values(s.errors).reduce((a, b) => a + b, 0));
  const codes = {};
  for (const s of samples) for (const [code, n] of Object.entries(s.errors)) codes[code] = (codes[code] || 0) + n;
  const listed = Object.entries(codes).sort((a, b) => b[1] - a[1]);
  return html`<div class="page" tabindex="0">
    <div class="head"><h1>Activity</h1><span class="soft">the last 15 minutes</span>
      ${state === 'waiting' && html`<span class="badge warn" role="status">Connection lost, trying again</span>`}</div>
    <dl class="facts">
      <${Fact} name="Turns running" value=${count(last?.running)} />
      <${Fact} name="Turns waiting" value=${count(last?.queued)} />
      <${Fact} name="Open streams" value=${count(last?.streams)} />
      <${Fact} name="Sessions in memory" value=${count(last?.sessions)} />
      <${Fact} name="Memory" value=${last ? bytes(last.resident_bytes || last.heap_bytes) : '–'} />
    </dl>
    <div class="plots">
      <${Plot} title="Deltas a second" times=${times} kept=${kept} format=${short} least=${5} series=${[{ name: 'deltas', tone: 'a', values: of((s) => s.deltas) }]} />
      <${Plot} title="Active streams" times=${times} kept=${kept} format=${short} least=${4}
        series=${[{ name: 'streams', tone: 'a', values: of((s) => s.streams) }, { name: 'running turns', tone: 'b', values: of((s) => s.running) }]} />
      <${Plot} title="Time to the first delta" times=${times} kept=${kept} format=${seconds} least=${.01}
        series=${[{ name: 'p50', tone: 'a', values: of((s) => s.first_delta_p50) }, { name: 'p99', tone: 'b', values: of((s) => s.first_delta_p99) }]} />
      <${Plot} title="Errors a second" times=${times} kept=${kept} format=${short} least=${2} series=${[{ name: 'errors', tone: 'bad', values: errors }]} />
      <${Plot} title="Memory" times=${times} kept=${kept} format=${bytes} least=${1 << 20} unit=${1 << 20}
        series=${[{ name: 'resident', tone: 'a', values: of((s) => s.resident_bytes || null) }, { name: 'heap', tone: 'b', values: of((s) => s.heap_bytes) }]} />
      <section class="plot"><h2>Errors by kind</h2>
        ${listed.length ? html`<table class="list"><tbody>${listed.map(([code, n]) => html`<tr key=${code}><td>${inWords({ code }).title}<br /><code>${code}</code></td><td class="number">${count(n)}</td></tr>`)}</tbody></table>`
    : html`<${Empty} title="No errors"><p>Nobody was told of one in this time.</p></${Empty}>`}
      </section>
    </div>
  </div>`;
}

function Fact({ name, value }) { return html`<div><dt>${name}</dt><dd>${value}</dd></div>`; }

function short(v) {
  if (v >= 1e6) return `${trim(v / 1e6)}M`;
  if (v >= 1e4) return `${trim(v / 1e3)}k`;
  return trim(v);
}

function seconds(v) { return v >= 1 ? `${trim(v)} s` : `${trim(v * 1000)} ms`; }

export function bytes(v) {
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]]) {
    if (v >= size) return `${trim(v / size)} ${unit}`;
  }
  return `${Math.round(v)} B`;
}

const trim = (v) => String(Number(v.toPrecision(v >= 100 ? 3 : 2)));

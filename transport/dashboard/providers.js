// Providers: the model servers, and how they do.
import { api } from './api.js';
import { html, useEffect, useLoad } from './ui.js';
import { Badge, Empty, Trouble, Words } from './parts.js';
import { clean, count } from './words.js';

export function Providers() {
  const list = useLoad(() => api('GET', '/v1/providers'), []);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) list.again(); }, 15_000);
    return () => clearInterval(timer);
  }, []);
  const all = list.data?.data || [];
  return html`<div class="page" tabindex="0">
    <div class="head"><h1>Providers</h1><span class="spread"></span><button type="button" class="small" onClick=${list.again}>Ask again</button></div>
    ${list.error && html`<${Trouble} error=${list.error} retry=${list.again} />`}
    ${list.data && all.length === 0 && html`<${Empty} title="No provider is configured">
      <p><${Words} text=${'Name one in agentzero.toml, under `[providers.NAME]`, and choose it with `agent.provider`; `"auto"` takes the best model server of this machine. Then send the gateway SIGHUP.'} /></p></${Empty}>`}
    <div class="tiles">${all.map((p) => html`<section class="card" key=${p.name} aria-label=${p.name}>
      <div class="head"><h2>${clean(p.name)}</h2><${Badge} kind=${p.status === 'ok' ? 'good' : 'bad'}>${p.status === 'ok' ? 'answers' : 'failing'}</${Badge}>${p.default && html`<${Badge} kind="live">default</${Badge}>`}</div>
      <dl class="pairs">
        <dt>Kind</dt><dd>${p.kind}${p.version ? ' ' + clean(p.version) : ''}, ${p.source}</dd>
        ${p.base_url && html`<dt>Address</dt><dd><code>${p.base_url}</code></dd>`}
        ${p.took_seconds != null && p.status === 'ok' && html`<dt>Answered in</dt><dd>${p.took_seconds < .001 ? 'under 1 ms' : `${Math.round(p.took_seconds * 1000)} ms`}</dd>`}
        ${p.source !== 'discovered' && html`<dt>Calls</dt><dd>${count(p.calls.ok)} answered, ${count(p.calls.failed)} failed</dd>`}
      </dl>
      ${p.error && html`<div class="trouble"><span dir="auto">${clean(p.error)}</span><div>${remedy(p)}</div></div>`}
      ${p.models.length > 0 && html`<details><summary>${count(p.model_count)} ${p.model_count === 1 ? 'model' : 'models'}</summary>
        <ul class="names">${p.models.map((m) => html`<li key=${m}><code>${clean(m)}</code></li>`)}</ul></details>`}
    </section>`)}</div>
  </div>`;
}

function remedy(p) {
  if (p.source === 'discovered') return '';
  if (/refused|no such host|unreachable|timeout|within/i.test(p.error)) return 'Start the server, or correct its address in agentzero.toml.';
  if (/401|403|key/i.test(p.error)) return 'Check the key that agentzero.toml gives it.';
  return 'Its own log may tell more.';
}

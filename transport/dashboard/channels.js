// Channels: the webhooks' deliveries, the dead letters among them, and their replay.
import { api, origin } from './api.js';
import { useGateway } from './gateway.js';
import { html, useEffect, useLoad, useRef, useState } from './ui.js';
import { Badge, CopyButton, Empty, Sure, Trouble, Words, useClock } from './parts.js';
import { ago, clean, count } from './words.js';

export function Channels({ id }) { return id ? html`<${Channel} key=${id} name=${id} />` : html`<${List} />`; }

const dead = 'failed,dead';
const total = (c, states) => states.split(',').reduce((n, s) => n + (c.deliveries[s] || 0), 0);

// useMoves calls load when the gateway tells that work came or ended, and each 10 s.
function useMoves(load) {
  const last = useGateway().samples.at(-1);
  const told = useRef({ mark: '', at: 0 });
  const mark = last ? `${last.running}/${last.queued}` : '';
  useEffect(() => {
    if (!last) return;
    const t = told.current;
    if (mark === t.mark && !last.accepted && !last.ended && last.at - t.at < 10) return;
    told.current = { mark, at: last.at };
    load();
  }, [last]);
}

function List() {
  const list = useLoad(() => api('GET', '/v1/channels'), []);
  useMoves(list.again);
  const all = list.data?.data || [];
  return html`<div class="page" tabindex="0">
    <div class="head"><h1>Channels</h1></div>
    ${list.error && html`<${Trouble} error=${list.error} retry=${list.again} />`}
    ${list.data && all.length === 0 && html`<${Empty} title="No channel is configured">
      <p><${Words} text=${'A channel takes the webhooks of GitHub, Slack, Telegram or your own machines. Name one in agentzero.toml:'} /></p>
      <pre class="left" tabindex="0" role="region" aria-label="Example"><code>${'[channels.builds]\nkind = "generic"'}</code></pre>
      <p><${Words} text=${`Then send the gateway SIGHUP, and webhooks to \`${origin}/v1/webhook/builds\`.`} /></p></${Empty}>`}
    <div class="tiles">${all.map((c) => html`<section class="card" key=${c.id} aria-label=${c.id}>
      <div class="head"><h2><a href=${'#/channels/' + encodeURIComponent(c.id)}>${c.id}</a></h2><${Badge}>${c.kind}</${Badge}>
        ${total(c, dead) > 0 && html`<${Badge} kind="bad">${count(total(c, dead))} dead</${Badge}>`}</div>
      <dl class="pairs">
        <dt>Waiting</dt><dd>${count(c.queued)}</dd><dt>Running</dt><dd>${count(c.running)}</dd><dt>Replying</dt><dd>${count(c.replying)}</dd>
        <dt>Done</dt><dd>${count(total(c, 'answered,replied,ignored'))}</dd>
      </dl>
      <div class="copyable"><code>${`${origin}/v1/webhook/${c.id}`}</code><${CopyButton} text=${`${origin}/v1/webhook/${c.id}`} /></div>
    </section>`)}</div>
  </div>`;
}

const filters = [['', 'All'], ['queued,running,replying', 'Open'], ['answered,replied,ignored', 'Done'], [dead, 'Dead letters']];
const kinds = { queued: 'warn', running: 'live', replying: 'live', answered: 'good', replied: 'good', ignored: '', failed: 'bad', dead: 'bad' };

function Channel({ name }) {
  const [state, setState] = useState('');
  const [pages, setPages] = useState(1);
  const [told, tell] = useState('');
  const [error, setError] = useState(null);
  const path = `/v1/webhook/${encodeURIComponent(name)}`;
  const list = useLoad(async () => {
    let all = [];
    let more = true;
    for (let i = 0; i < pages && more; i++) {
      const after = all.length ? `&after=${encodeURIComponent(all.at(-1).id)}` : '';
      const page = await api('GET', `${path}/deliveries?limit=50${state ? '&state=' + state : ''}${after}`);
      all = all.concat(page.data);
      more = page.has_more;
    }
    return { all, more };
  }, [state, pages]);
  useMoves(list.again);
  useClock(10);
  const replay = (body) => api('POST', `${path}/replay`, body).then((r) => {
    tell(`${count(r.replayed.length)} begun anew${r.left.length ? `, ${count(r.left.length)} left: ${r.left[0].reason}` : ''}.`);
    setError(null);
    list.again();
  }, setError);
  const all = list.data?.all || [];
  return html`<div class="page" tabindex="0">
    <div class="head"><a href="#/channels">Channels</a><span aria-hidden="true">/</span><h1>${clean(name)}</h1><span class="spread"></span>
      <label class="off-screen" for="state">State</label>
      <select id="state" value=${state} onChange=${(e) => { setState(e.target.value); setPages(1); }}>${filters.map(([v, title]) => html`<option key=${v} value=${v}>${title}</option>`)}</select>
      <${Sure} label="Replay dead letters" question="Begin all of them anew?" act=${() => replay({ state: dead })} /></div>
    ${(error || list.error) && html`<${Trouble} error=${error || list.error} retry=${list.again} />`}
    ${told && html`<p class="notice calm" role="status">${told}</p>`}
    ${list.data && all.length === 0 && html`<${Empty} title=${state ? 'None is in this state' : 'Nothing was delivered yet'}>
      <p><${Words} text=${`Webhooks go to \`${origin}${path}\`.`} /></p></${Empty}>`}
    ${all.length > 0 && html`<table class="list cards">
      <thead><tr><th>Delivery</th><th>State</th><th class="number">Tries</th><th class="number">Took</th><th>Came</th><th><span class="off-screen">Actions</span></th></tr></thead>
      <tbody>${all.map((d) => html`<${Delivery} key=${d.id} delivery=${d} path=${path} replay=${replay} />`)}</tbody></table>`}
    ${list.data?.more && html`<p><button type="button" onClick=${() => setPages(pages + 1)}>Show more</button></p>`}
  </div>`;
}

function Delivery({ delivery: d, path, replay }) {
  const [whole, setWhole] = useState(null);
  const show = (e) => {
    if (e.currentTarget.open && !whole) api('GET', `${path}/deliveries/${encodeURIComponent(d.id)}`).then(setWhole, () => {});
  };
  const over = ['failed', 'dead', 'answered', 'replied', 'ignored'].includes(d.state);
  return html`<tr>
    <td data-name="Delivery"><details onToggle=${show}><summary class="isolate">${clean(d.text) || html`<i>no text</i>`}</summary>
        ${whole && html`<div class="whole">
          <p class="isolate">${clean(whole.text)}</p>
          ${whole.answer && html`<p class="isolate"><strong>Answer</strong> ${clean(whole.answer)}</p>`}</div>`}
        <div class="soft small"><code>${d.id}</code> · <a href=${`#/sessions/default/${encodeURIComponent(d.session_id)}`}>the conversation</a></div></details>
      ${d.reason && html`<div class="small bad-text isolate">${clean(d.reason)}</div>`}</td>
    <td data-name="State"><${Badge} kind=${kinds[d.state]}>${d.state}</${Badge}>${d.next_try && html`<div class="soft small">again at ${new Date(d.next_try * 1000).toLocaleTimeString()}</div>`}</td>
    <td data-name="Tries" class="number">${count(d.tries)}${d.replays ? ` (${d.replays} replays)` : ''}</td>
    <td data-name="Took" class="number">${d.latency_ms == null ? '–' : d.latency_ms < 1000 ? `${d.latency_ms} ms` : `${(d.latency_ms / 1000).toFixed(1)} s`}</td>
    <td data-name="Came">${ago(d.created)}</td>
    <td class="actions">${over && html`<button type="button" class="small quiet" onClick=${() => replay({ ids: [d.id] })}>Replay</button>`}</td></tr>`;
}

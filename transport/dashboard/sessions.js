// Sessions: all there are, one of them watched live.
import { api } from './api.js';
import { Conversation } from './conversation.js';
import { gateway, useGateway } from './gateway.js';
import { html, useEffect, useRef, useState } from './ui.js';
import { Turns } from './chat.js';
import { Badge, Empty, Sure, Trouble, useClock } from './parts.js';
import { ago, clean, count } from './words.js';

const page = 50;

export function Sessions({ id, rest, go }) {
  if (id && rest.length) return html`<${Watch} key=${id + '/' + rest[0]} owner=${id} id=${rest[0]} go=${go} />`;
  return html`<${List} />`;
}

function List() {
  const { samples } = useGateway();
  const [sessions, setSessions] = useState(null);
  const [more, setMore] = useState(false);
  const [error, setError] = useState(null);
  const [filter, setFilter] = useState('');
  const wanted = useRef(page);
  const busy = useRef(false);
  useClock(10);

  // The list is read page by page, as far as a person has asked for.
  const load = async () => {
    if (busy.current) return;
    busy.current = true;
    try {
      let all = [];
      for (let next = true; next && all.length < wanted.current;) {
        const last = all.at(-1);
        const after = last ? `&after=${encodeURIComponent(last.id)}&after_owner=${encodeURIComponent(last.owner)}` : '';
        const list = await api('GET', `/v1/sessions?owner=*&limit=${page}${after}`);
        all = all.concat(list.data);
        next = list.has_more;
        setMore(list.has_more);
      }
      setSessions(all);
      setError(null);
    } catch (e) {
      setError(e);
    } finally {
      busy.current = false;
    }
  };
  // It is read again when the gateway tells that a turn was accepted or has ended,
  // or a session came or went.
  const last = samples.at(-1);
  const told = useRef('');
  const mark = last ? `${last.sessions}/${last.running}/${last.queued}` : '';
  const moved = mark !== told.current || last?.accepted > 0 || last?.ended > 0;
  useEffect(() => { load(); }, []);
  useEffect(() => {
    if (!last || !moved) return;
    told.current = mark;
    load();
  }, [last]);

  const text = filter.trim().toLowerCase();
  const shown = (sessions || []).filter((s) => !text || `${s.id} ${s.owner} ${s.model || ''} ${s.state} ${s.metadata?.title || ''}`.toLowerCase().includes(text));
  return html`<div class="page" tabindex="0">
    <div class="head"><h1>Sessions</h1><span class="spread"></span>
      <label class="off-screen" for="filter">Filter</label>
      <input id="filter" type="search" placeholder="Filter" value=${filter} onInput=${(e) => setFilter(e.target.value)} /></div>
    ${error && html`<${Trouble} error=${error} retry=${load} />`}
    ${sessions && sessions.length === 0 && html`<${Empty} title="No sessions yet"><p>A session begins with its first message: <a href="#/chat/new">begin a chat</a>, or <a href="#/connect">connect a client</a>.</p></${Empty}>`}
    ${shown.length > 0 && html`<table class="list cards">
      <thead><tr><th>Session</th><th>State</th><th class="number">Queue</th><th>Model</th><th class="number">Tokens</th><th>Last activity</th><th><span class="off-screen">Actions</span></th></tr></thead>
      <tbody>${shown.map((s) => html`<${Row} key=${s.owner + '/' + s.id} session=${s} load=${load} failed=${setError} />`)}</tbody>
    </table>`}
    ${sessions && sessions.length > 0 && shown.length === 0 && html`<${Empty} title="None fits"><p>No session among those loaded has “${filter}” in its id, owner, model, state or title.</p></${Empty}>`}
    ${more && html`<p><button type="button" onClick=${() => { wanted.current += page; load(); }}>Show more</button></p>`}
  </div>`;
}

const kinds = { running: 'live', idle: 'good', passivated: '' };
const states = { running: 'answering', idle: 'idle', passivated: 'at rest' };

function Row({ session: s, load, failed }) {
  const path = `/v1/sessions/${encodeURIComponent(s.id)}`;
  const query = `?owner=${encodeURIComponent(s.owner)}`;
  const act = (f) => () => f().then(load, failed);
  return html`<tr>
    <td data-name="Session"><a class="isolate" href=${`#/sessions/${encodeURIComponent(s.owner)}/${encodeURIComponent(s.id)}`}>${clean(s.metadata?.title || s.id)}</a>
      <div class="soft small">${s.metadata?.title ? html`<code>${s.id}</code> · ` : ''}${s.owner}</div></td>
    <td data-name="State"><${Badge} kind=${kinds[s.state]}>${states[s.state] || s.state}</${Badge}></td>
    <td data-name="Queue" class="number">${count(s.queue.length)}</td>
    <td data-name="Model" class="isolate">${s.model ? clean(s.model) : '–'}</td>
    <td data-name="Tokens" class="number" title=${`${s.usage.prompt_tokens} in, ${s.usage.completion_tokens} out`}>${count(s.usage.total_tokens)}</td>
    <td data-name="Last activity">${ago(s.updated)}</td>
    <td class="actions">
      ${s.state === 'running' && html`<button type="button" class="small quiet" onClick=${act(() => api('POST', `${path}/cancel${query}`, {}))}>Cancel</button>`}
      <${Sure} label="Delete" question="Delete it for good?" act=${act(() => api('DELETE', path + query))} />
    </td></tr>`;
}

// Watch shows one session as its events come. A watcher changes nothing in it.
function Watch({ owner, id, go }) {
  const [, draw] = useState(0);
  const [error, setError] = useState(null);
  const talk = useRef(null);
  useEffect(() => {
    let frame = 0;
    const c = new Conversation(id, { owner, changed: () => { frame ||= requestAnimationFrame(() => { frame = 0; draw((n) => n + 1); }); } });
    talk.current = c;
    c.open();
    draw((n) => n + 1);
    return () => {
      cancelAnimationFrame(frame);
      c.close();
    };
  }, []);
  const c = talk.current;
  const running = c?.running;
  const remove = () => api('DELETE', `/v1/sessions/${encodeURIComponent(id)}?owner=${encodeURIComponent(owner)}`).then(() => go('#/sessions'), setError);
  return html`<div class="watch">
    <div class="head"><a href="#/sessions">Sessions</a><span aria-hidden="true">/</span><h1 class="isolate">${clean(id)}</h1><span class="soft">${owner}</span>
      ${c?.state === 'live' && html`<${Badge} kind="live">live</${Badge}>`}
      <span class="spread"></span>
      ${running && html`<button type="button" class="small" onClick=${() => c.cancel().catch(setError)}>Cancel all</button>`}
      ${c?.state !== 'gone' && html`<${Sure} label="Delete" question="Delete it for good?" act=${remove} />`}
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    ${c ? c.state === 'live' && c.turns.length === 0 ? html`<${Empty} title="Nothing was said yet"><p>What comes is shown here as it comes.</p></${Empty}>` : html`<${Turns} talk=${c} />` : ''}
  </div>`;
}

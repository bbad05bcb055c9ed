// Chat: the list of conversations, one of them open, and what is written next.
import { api, may, me, newID } from './api.js';
import { Conversation } from './conversation.js';
import { html, useEffect, useLayoutEffect, useLoad, useRef, useState } from './ui.js';
import { Markdown } from './markdown.js';
import { Empty, Icon, Trouble, useClock } from './parts.js';
import { ago, clean, count, inWords } from './words.js';

const LAST = 'agentzero.session';
const MODEL = 'agentzero.model';

export function Chat({ id, go }) {
  const list = useLoad(() => api('GET', '/v1/sessions?limit=50&detail=true'), []);
  useClock(15);
  // The session last open is opened again: its id is not a secret, but is kept out
  // of the way in this browser.
  useEffect(() => {
    if (id) localStorage.setItem(LAST, id);
    else if (localStorage.getItem(LAST)) go(`#/chat/${encodeURIComponent(localStorage.getItem(LAST))}`, true);
  }, [id]);
  const start = () => {
    localStorage.removeItem(LAST);
    go('#/chat/new');
  };
  const sessions = (list.data?.data || []).filter((s) => !s.metadata?.channel);
  return html`<div class="chat">
    <aside class="side" aria-label="Conversations">
      <button type="button" class="wide" onClick=${start}><${Icon} name="plus" /> New chat</button>
      ${list.error && !list.data && html`<${Trouble} error=${list.error} retry=${list.again} />`}
      <nav aria-label="Your conversations"><ul class="session-list">
        ${sessions.map((s) => html`<li key=${s.id}><a href=${'#/chat/' + encodeURIComponent(s.id)} aria-current=${s.id === id ? 'page' : undefined}>
          <span class="name" dir="auto">${clean(s.metadata?.title || s.id)}</span>
          <span class="when">${s.state === 'running' ? 'answering…' : ago(s.updated)}</span></a></li>`)}
      </ul></nav>
    </aside>
    <${Talk} key=${id === 'new' ? 'new' : id || ''} id=${id === 'new' ? '' : id} changed=${list.again} go=${go} />
  </div>`;
}

// drafts are the conversations begun here that have just got their id, so that
// going to its address does not open them a second time.
const drafts = new Map();

function Talk({ id, changed, go }) {
  const [, draw] = useState(0);
  const talk = useRef(null);
  const running = useRef(0);
  useEffect(() => {
    if (!id) return undefined;
    const c = drafts.get(id) || new Conversation(id, {});
    drafts.delete(id);
    let frame = 0;
    c.changed = () => {
      frame ||= requestAnimationFrame(() => { frame = 0; draw((n) => n + 1); });
      const now = c.turns.filter((t) => t.state === 'running').length;
      if (now !== running.current) changed();
      running.current = now;
    };
    talk.current = c;
    c.open();
    draw((n) => n + 1);
    return () => {
      cancelAnimationFrame(frame);
      c.close();
    };
  }, [id]);

  const send = async (text, model) => {
    if (talk.current) {
      talk.current.send(text, { model });
      return;
    }
    const name = newID('chat-');
    await api('POST', '/v1/sessions', { id: name, metadata: { title: titleOf(text) } });
    const c = new Conversation(name, { changed: () => {} });
    drafts.set(name, c);
    c.send(text, { model });
    go(`#/chat/${name}`);
    changed();
  };
  const c = talk.current;
  return html`<section class="talk" aria-label="Conversation">
    ${c ? html`<${Turns} talk=${c} send=${send} />` : html`<${Welcome} />`}
    <${Composer} key="composer" talk=${c} send=${send} />
  </section>`;
}

function titleOf(text) {
  const line = text.trim().split('\n')[0];
  return line.length > 60 ? line.slice(0, 57) + '…' : line;
}

function Welcome() {
  return html`<div class="scroll"><${Empty} title="Ask something">
    <p>Answers stream in as the model writes them. You can reload, lose the network, or go on in another tab or on your phone: the conversation is the gateway’s.</p>
  </${Empty}></div>`;
}

// Turns shows a conversation; without send, to look at only.
export function Turns({ talk, send }) {
  const box = useRef(null);
  const follows = useRef(true);
  useLayoutEffect(() => {
    const e = box.current;
    if (e && follows.current) e.scrollTop = e.scrollHeight;
  });
  // Markdown is drawn later than its text comes.
  useEffect(() => {
    const watch = new ResizeObserver(() => {
      if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    watch.observe(box.current.firstElementChild);
    return () => watch.disconnect();
  }, []);
  const scrolled = ({ currentTarget: e }) => {
    follows.current = e.scrollHeight - e.scrollTop - e.clientHeight < 60;
  };
  if (talk.state === 'gone') {
    return html`<div class="scroll" ref=${box}><div><${Empty} title="This conversation is not there">
      <p>It was deleted, or belongs to somebody else. <a href="#/chat/new">Begin a new one.</a></p></${Empty}></div></div>`;
  }
  return html`<div class="scroll" ref=${box} onScroll=${scrolled} tabindex="0" role="region" aria-label="Messages">
    <div class="turns" role="log" aria-live="off">
      ${talk.state === 'failed' && html`<${Trouble} error=${talk.failure} />`}
      ${talk.turns.map((t) => html`<${Turn} key=${t.key} turn=${t} talk=${talk} send=${send} />`)}
    </div>
    ${talk.state === 'waiting' && html`<p class="notice sticky" role="status">The connection is lost. Nothing is: the answer goes on, and is taken up here as soon as the gateway can be reached.</p>`}
  </div>`;
}

function Turn({ turn, talk, send }) {
  const asked = turn.said.filter((m) => m.role !== 'system' && m.role !== 'developer');
  const again = () => {
    const text = asked.map((m) => m.text).join('\n\n');
    talk.forget(turn);
    send(text);
  };
  return html`<article class="turn" data-state=${turn.state}>
    ${asked.map((m, i) => html`<div key=${i} class=${'said ' + m.role}><span class="off-screen">${m.role === 'user' ? 'You' : m.role}:</span>
      <div class="bubble" dir="auto">${clean(m.text)}</div></div>`)}
    <div class="answer" aria-busy=${turn.state === 'running'}>
      <span class="off-screen">Answer:</span>
      ${turn.thinking && html`<details class="thinking"><summary>Thinking</summary><div dir="auto">${clean(turn.thinking)}</div></details>`}
      ${turn.answer ? html`<${Markdown} text=${turn.answer} />` : null}
      ${turn.tools.filter(Boolean).map((t, i) => html`<div key=${i} class="tool">Asks for the tool <code>${clean(t.name)}</code> <code class="soft">${clean(t.arguments).slice(0, 400)}</code></div>`)}
      <${Status} turn=${turn} again=${send && again} />
    </div>
  </article>`;
}

function Status({ turn, again }) {
  switch (turn.state) {
    case 'sending':
      return html`<p class="status">${turn.error ? 'Waits for the network…' : 'Sending…'}</p>`;
    case 'queued':
      return html`<p class="status">${turn.position ? `Waits; ${turn.position} before it` : 'Waits for its turn…'}</p>`;
    case 'running':
      return html`<p class="status"><span class="dots" aria-hidden="true"></span><span class=${turn.answer ? 'off-screen' : ''}>Answering…</span></p>`;
    case 'interrupted':
      return html`<p class="status">Stopped${turn.reason === 'shutdown' ? ' by the gateway’s shutdown' : turn.reason === 'interrupted' ? ' by a newer message' : ''}. What was said is kept.</p>`;
    case 'failed':
      return html`<${Trouble} error=${turn.error} retry=${again} label="Send again" />`;
    default:
      return html`<p class="status done">${[turn.model && clean(turn.model), turn.usage?.completion_tokens && `${count(turn.usage.completion_tokens)} tokens`].filter(Boolean).join(' · ')}</p>`;
  }
}

function Composer({ talk, send }) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  const [model, setModel] = useState(localStorage.getItem(MODEL) || '');
  const models = useLoad(() => api('GET', '/v1/models'), []);
  const area = useRef(null);
  useEffect(() => { if (!matchMedia('(pointer: coarse)').matches) area.current?.focus(); }, [talk?.id]);
  useLayoutEffect(() => {
    const e = area.current;
    e.style.height = 'auto';
    e.style.height = Math.min(e.scrollHeight, 240) + 2 + 'px';
  }, [text]);
  const names = (models.data?.data || []).map((m) => m.id);
  const chosen = names.includes(model) ? model : '';
  const running = talk?.running;
  const submit = async (e) => {
    e?.preventDefault();
    const message = text.trim();
    if (!message) return;
    setText('');
    setError(null);
    try {
      await send(message, chosen || undefined);
    } catch (failure) {
      setText(message);
      setError(failure);
    }
  };
  const keys = (e) => {
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) submit(e);
  };
  const choose = (e) => {
    setModel(e.target.value);
    localStorage.setItem(MODEL, e.target.value);
  };
  const noAgent = models.data && names.length === 0;
  const words = models.error && models.error.code !== 'network' ? inWords(models.error) : noAgent ? inWords({ code: 'agent_unavailable' }) : null;
  return html`<div class="composer">
    ${words && html`<${Trouble} words=${words} retry=${models.again} />`}
    ${error && html`<${Trouble} error=${error} />`}
    <form onSubmit=${submit}>
      <label class="off-screen" for="message">Message</label>
      <textarea id="message" ref=${area} rows="1" placeholder="Message" value=${text} dir="auto"
        onInput=${(e) => setText(e.target.value)} onKeyDown=${keys}></textarea>
      <div class="tools">
        <label class="off-screen" for="model">Model</label>
        <select id="model" value=${chosen} onChange=${choose}>
          <option value="">Default model</option>
          ${names.map((n) => html`<option key=${n} value=${n}>${clean(n)}</option>`)}
        </select>
        <span class="spread"></span>
        ${running && html`<button type="button" class="stop" onClick=${() => talk.cancel(running).catch(setError)}><${Icon} name="stop" /> Stop</button>`}
        <button class="solid" disabled=${!text.trim()}><${Icon} name="send" /> Send</button>
      </div>
    </form>
  </div>`;
}

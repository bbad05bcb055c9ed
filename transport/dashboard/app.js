// The page: who is signed in, which view is shown, and the way between them.
import { enter, leave, may, me, token } from './api.js';
import { html, render, useEffect, useState, useStore } from './ui.js';
import { Activity } from './activity.js';
import { Channels } from './channels.js';
import { Chat } from './chat.js';
import { Connect } from './connect.js';
import { Pair } from './pair.js';
import { Icon, Trouble } from './parts.js';
import { Providers } from './providers.js';
import { Sessions } from './sessions.js';

// views are those of the menu, as far as the token's scopes go.
const views = [
  { name: 'chat', title: 'Chat', scope: 'chat', view: Chat },
  { name: 'activity', title: 'Activity', scope: 'admin', view: Activity },
  { name: 'sessions', title: 'Sessions', scope: 'admin', view: Sessions },
  { name: 'channels', title: 'Channels', scope: 'admin', view: Channels },
  { name: 'providers', title: 'Providers', scope: 'admin', view: Providers },
  { name: 'connect', title: 'Connect', scope: 'chat', view: Connect },
];

function App() {
  const who = useStore(me);
  const [error, setError] = useState(null);
  const [place, setPlace] = useState(read());
  useEffect(() => {
    const moved = () => setPlace(read());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  useEffect(() => {
    let timer = 0;
    const begin = () => enter().then(() => setError(null), (e) => {
      setError(e);
      timer = setTimeout(begin, 2000);
    });
    begin();
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    const view = views.find((v) => v.name === place.view);
    document.title = who && view ? `${view.title} · agentzero` : 'agentzero';
  }, [place.view, who]);

  if (who === null) return html`<${Pair} />`;
  if (!who) return error ? html`<main class="sign-in"><div class="card"><h1>agentzero</h1><${Trouble} error=${error} /></div></main>` : html`<p class="boot">Loading…</p>`;
  const allowed = views.filter((v) => may(v.scope));
  const shown = allowed.find((v) => v.name === place.view) || allowed[0];
  return html`<div class="shell">
    <header class="bar">
      <a class="brand" href="#/chat">agentzero</a>
      <nav class="menu" aria-label="Views">
        ${allowed.map((v) => html`<a key=${v.name} href=${'#/' + v.name} aria-current=${v === shown ? 'page' : undefined}><${Icon} name=${v.name} /><span>${v.title}</span></a>`)}
      </nav>
      ${token() && html`<button type="button" class="quiet small out" onClick=${() => leave()}><${Icon} name="out" /><span>Sign out</span></button>`}
    </header>
    <main class="view">
      ${shown ? html`<${shown.view} key=${shown.name} id=${place.id} rest=${place.rest} go=${go} />`
    : html`<div class="page" tabindex="0"><p>This browser’s token has no scope that the page could use.</p></div>`}
    </main>
  </div>`;
}

// read takes the place from the address: #/view/id/rest.
function read() {
  const [view, id = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/').map(decode);
  return { view: view || 'chat', id, rest };
}

function decode(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function go(hash, replace = false) {
  if (!replace) {
    location.hash = hash;
    return;
  }
  history.replaceState(null, '', hash);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

render(html`<${App} />`, document.getElementById('app'));

// A stream of server-sent events that heals: it is read with fetch, because an
// EventSource cannot send a token in a header, and taken up after the last event
// that came, however the connection ended.
import { address, authorization, doubt, failureOf } from './api.js';

const silence = 40_000; // the gateway says something each 15 s

// follow reads a stream until stop() is called.
//   after        the id of the last event known, or ''
//   onEvent      ({ id, event, data }); data is parsed JSON
//   onState      ('live' | 'waiting' | 'ended', failure?)
// An answer that no retry can mend ends it.
export function follow(path, { after = '', onEvent, onState = () => {} }) {
  let stopped = false;
  let abort = null;
  let wake = null;
  let pause = 250;

  const hurry = () => { pause = 250; wake?.(); };
  const lost = () => abort?.abort();
  addEventListener('online', hurry);
  addEventListener('offline', lost);

  (async () => {
    while (!stopped) {
      const failure = await once();
      if (stopped) break;
      if (failure && failure.status >= 400 && failure.status < 500 && failure.code !== 'rate_limited') {
        onState('ended', failure);
        break;
      }
      onState('waiting', failure);
      const rest = Math.max(pause, (failure?.retryAfter || 0) * 1000) * (0.75 + Math.random() / 2);
      pause = Math.min(pause * 2, 5000);
      await new Promise((resolve) => { wake = resolve; setTimeout(resolve, rest); });
    }
  })();

  async function once() {
    abort = new AbortController();
    let timer = 0;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(lost, silence);
    };
    try {
      watch();
      const headers = { ...authorization(), Accept: 'text/event-stream' };
      if (after) headers['Last-Event-ID'] = after;
      const response = await fetch(address(path), { headers, signal: abort.signal, cache: 'no-store' });
      if (!response.ok) {
        const failure = await failureOf(response);
        await doubt(failure);
        return failure;
      }
      onState('live');
      pause = 250;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = parser(take);
      for (;;) {
        const { done, value } = await reader.read();
        if (done || stopped) return null;
        watch();
        parse(value);
      }
    } catch {
      return null; // the connection was lost
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  function take(e) {
    if (stopped) return;
    if (e.id) after = e.id;
    if (!e.data) return;
    let data;
    try { data = JSON.parse(e.data); } catch { return; }
    onEvent({ id: e.id, event: e.event || 'message', data });
  }

  return function stop() {
    stopped = true;
    removeEventListener('online', hurry);
    removeEventListener('offline', lost);
    abort?.abort();
    wake?.();
  };
}

// parser cuts a stream into events.
// See https://html.spec.whatwg.org/multipage/server-sent-events.html.
export function parser(emit) {
  let rest = '';
  let e = { id: '', event: '', data: '' };
  return (chunk) => {
    rest += chunk;
    for (let end; (end = rest.indexOf('\n')) >= 0;) {
      const line = rest.slice(0, end).replace(/\r$/, '');
      rest = rest.slice(end + 1);
      if (line === '') {
        emit(e);
        e = { id: '', event: '', data: '' };
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') e.data += e.data ? '\n' + value : value;
      else if (name === 'id' || name === 'event') e[name] = value;
    }
  };
}

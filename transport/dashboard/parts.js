// Small parts of several views.
import { html, useEffect, useState } from './ui.js';
import { inWords } from './words.js';
import { copyText } from './markdown.js';

// Words shows text with `code` in it.
export function Words({ text }) {
  return text.split('`').map((part, i) => i % 2 ? html`<code>${part}</code>` : part);
}

// Trouble tells an error and its remedy.
export function Trouble({ error, words = inWords(error), retry, label = 'Try again' }) {
  return html`<div class="trouble" role="alert">
    <strong>${words.title}.</strong>
    ${words.detail && html` <span class="detail" dir="auto">${words.detail}</span>`}
    ${words.remedy && html`<div><${Words} text=${words.remedy} /></div>`}
    ${retry && html`<button type="button" class="small" onClick=${retry}>${label}</button>`}
  </div>`;
}

// Empty fills a view that has nothing to show, and tells what to do about it.
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p><div>${children}</div></div>`;
}

export function Badge({ kind, children }) { return html`<span class=${'badge ' + (kind || '')}>${children}</span>`; }

export function CopyButton({ text, label = 'Copy' }) {
  const [told, tell] = useState('');
  return html`<button type="button" class="small quiet" onClick=${async () => {
    tell(await copyText(text) ? 'Copied' : 'Press Ctrl+C');
    setTimeout(() => tell(''), 1500);
  }}>${told || label}</button>`;
}

// Sure asks twice before it does what cannot be undone.
export function Sure({ label, question, act, small = true }) {
  const [asking, ask] = useState(false);
  const [busy, setBusy] = useState(false);
  if (!asking) return html`<button type="button" class=${small ? 'small quiet danger' : 'danger'} onClick=${() => ask(true)}>${label}</button>`;
  const yes = async () => {
    setBusy(true);
    try { await act(); } finally { setBusy(false); ask(false); }
  };
  return html`<span class="sure"><span>${question}</span>
    <button type="button" class="small danger solid" disabled=${busy} onClick=${yes} ref=${focus}>Yes</button>
    <button type="button" class="small quiet" onClick=${() => ask(false)}>No</button></span>`;
}

const focus = (e) => e?.focus();

// useClock draws a view anew every some seconds, for the times it tells.
export function useClock(seconds = 10) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${icons[name]} /></svg>`;
}

const icons = {
  chat: 'M4 5h16v11H9l-5 4z',
  activity: 'M3 13h4l3-8 4 14 3-6h4',
  sessions: 'M4 6h16M4 12h16M4 18h10',
  channels: 'M5 12a7 7 0 0 1 14 0M8 12a4 4 0 0 1 8 0M12 12v8',
  providers: 'M4 5h16v6H4zM4 13h16v6H4zM7.500 8h.01M7.500 16h.01',
  connect: 'M9 8 5 12l4 4M15 8l4 4-4 4',
  out: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9',
  send: 'M4 12 20 4l-5 16-3-7z',
  stop: 'M7 7h10v10H7z',
  plus: 'M12 5v14M5 12h14',
};

// What a model wrote, drawn as Markdown. It is parsed in a worker, bounded in time
// and size, and goes through the sanitizer as elements; no text of a model is ever
// taken for HTML of this page.
import './vendor/purify.js';
import { html, useEffect, useLayoutEffect, useRef } from './ui.js';
import { clean } from './words.js';

const maxText = 60_000;    // longer texts are shown plain
const maxElements = 6_000; // as are those with more elements, such as a huge table
const maxPlain = 500_000;  // and of them no more than this
const maxTime = 1_500;     // ms for one parse

const purify = window.DOMPurify;
const rules = {
  ALLOWED_TAGS: ['a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ALLOWED_ATTR: ['align', 'class', 'href', 'start', 'title'],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.hasAttribute('class') && !(node.tagName === 'CODE' && /^language-[\w+#.-]{1,30}$/.test(node.className))) node.removeAttribute('class');
  if (node.tagName === 'A') {
    node.setAttribute('rel', 'noopener noreferrer nofollow');
    node.setAttribute('target', '_blank');
  }
});

// Only this page's own worker may be made of an address.
const policy = window.trustedTypes?.createPolicy('agentzero', {
  createScriptURL(url) {
    if (url !== workerURL) throw new TypeError('not a script of this page');
    return url;
  },
});
const workerURL = new URL('./markdown-worker.js', import.meta.url).href;

let worker = null;
let waiting = [];  // { text, done }, the first of which the worker has
let serial = 0;
let timer = 0;

function parse(text) {
  return new Promise((done) => {
    waiting.push({ text, done });
    if (waiting.length === 1) next();
  });
}

function next() {
  if (waiting.length === 0) return;
  if (!worker) {
    worker = new Worker(policy ? policy.createScriptURL(workerURL) : workerURL, { type: 'module' });
    worker.onmessage = ({ data }) => { if (data.id === serial) finish(data.html); };
    worker.onerror = () => giveUp();
  }
  worker.postMessage({ id: ++serial, text: waiting[0].text });
  timer = setTimeout(giveUp, maxTime);
}

function giveUp() {
  worker?.terminate();
  worker = null;
  finish(null);
}

function finish(result) {
  clearTimeout(timer);
  waiting.shift()?.done(result);
  next();
}

// elements is the text's elements, or null where it is to be shown plain.
async function elements(text) {
  if (text.length > maxText) return null;
  const markup = await parse(text);
  if (markup === null || markup.split('<').length > 2 * maxElements) return null;
  const fragment = purify.sanitize(markup, rules);
  dress(fragment);
  return fragment;
}

// dress adds what is the page's own: frames that scroll, and the copy buttons.
function dress(root) {
  for (const e of root.querySelectorAll('p, li, h1, h2, h3, h4, h5, h6, td, th, blockquote')) e.setAttribute('dir', 'auto');
  for (const pre of root.querySelectorAll('pre')) {
    const language = /language-(\S+)/.exec(pre.firstElementChild?.className || '')?.[1] || 'text';
    const frame = element('div', 'code');
    const bar = element('div', 'code-bar');
    const copy = element('button', 'quiet small');
    copy.type = 'button';
    copy.dataset.copy = '';
    copy.textContent = 'Copy';
    bar.append(element('span', '', language), copy);
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    pre.setAttribute('role', 'region');
    pre.setAttribute('aria-label', `Code, ${language}`);
    frame.append(bar, pre);
  }
  for (const table of root.querySelectorAll('table')) {
    const frame = element('div', 'table-frame');
    frame.tabIndex = 0;
    frame.setAttribute('role', 'region');
    frame.setAttribute('aria-label', 'Table');
    table.replaceWith(frame);
    frame.append(table);
  }
}

function element(tag, name, text) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  if (text) e.textContent = text;
  return e;
}

// One listener serves all copy buttons of answers.
document.addEventListener('click', async (e) => {
  const button = e.target.closest?.('[data-copy]');
  if (!button) return;
  const text = button.closest('.code').querySelector('pre').textContent;
  button.textContent = await copyText(text) ? 'Copied' : 'Press Ctrl+C';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

// copyText puts text on the clipboard. Where the page was not loaded over a safe
// connection the browser has no clipboard for it.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element('textarea', 'off-screen');
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

// Markdown draws a text that may still grow. It is drawn anew as often as its
// cost allows: a tenth of the time goes into it at most.
export function Markdown({ text }) {
  const box = useRef(null);
  const state = useRef({ text: '', drawn: null, busy: false, timer: 0, gone: false });
  useEffect(() => {
    state.current.gone = false;
    return () => { state.current.gone = true; clearTimeout(state.current.timer); };
  }, []);
  useLayoutEffect(() => {
    const s = state.current;
    s.text = clean(text);
    if (!s.busy && !s.timer) draw(s, box);
  }, [text]);
  return html`<div class="prose" ref=${box}></div>`;
}

async function draw(s, box) {
  s.timer = 0;
  if (s.gone || s.drawn === s.text) return;
  s.busy = true;
  const began = performance.now();
  const text = s.text;
  const fragment = await elements(text);
  s.busy = false;
  if (s.gone || !box.current) return;
  if (fragment) morph(box.current, fragment);
  else plain(box.current, text);
  s.drawn = text;
  box.current.dataset.drawn = text === s.text ? 'all' : 'some';
  const rest = Math.max(16, 9 * (performance.now() - began));
  s.timer = setTimeout(() => draw(s, box), Math.min(rest, 3000));
}

// morph leaves the blocks alone that have not changed, so that what a person has
// selected in them stays.
function morph(box, fragment) {
  const fresh = [...fragment.childNodes];
  let same = 0;
  while (same < fresh.length && same < box.childNodes.length && box.childNodes[same].isEqualNode(fresh[same])) same++;
  while (box.childNodes.length > same) box.lastChild.remove();
  box.append(...fresh.slice(same));
}

function plain(box, whole) {
  const more = whole.length - maxPlain;
  const text = more > 0 ? `${whole.slice(0, maxPlain)}\n… and ${more} characters more` : whole;
  let pre = box.firstElementChild;
  if (box.childNodes.length !== 1 || !pre.classList.contains('plain')) {
    pre = element('pre', 'plain');
    pre.tabIndex = 0;
    pre.setAttribute('role', 'region');
    pre.setAttribute('aria-label', 'Long text');
    box.replaceChildren(pre);
  }
  if (text.startsWith(pre.textContent)) pre.append(text.slice(pre.textContent.length));
  else pre.textContent = text;
}

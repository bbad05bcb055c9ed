// Signing in: a code for a token, or a token that was made elsewhere.
import { farewell, pair, useToken } from './api.js';
import { html, useState, useStore } from './ui.js';
import { inWords, pairingWords } from './words.js';
import { Trouble, Words } from './parts.js';

export function Pair() {
  const why = useStore(farewell);
  const [mode, setMode] = useState('code');
  const [text, setText] = useState('');
  const [words, setWords] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e) => {
    e.preventDefault();
    setBusy(true);
    setWords(null);
    try {
      await (mode === 'code' ? pair(text.trim()) : useToken(text.trim()));
    } catch (error) {
      setWords(mode === 'code' ? pairingWords(error) : error.code === 'auth_failed' ? { title: 'This token is not known here', detail: '', remedy: 'It may have been revoked, or belong to another gateway.' } : inWords(error));
    } finally {
      setBusy(false);
    }
  };
  const turn = (next) => () => { setMode(next); setText(''); setWords(null); };
  return html`<main class="sign-in">
    <div class="card">
      <h1>agentzero</h1>
      ${why && html`<p class="notice" role="status">${why}</p>`}
      <form onSubmit=${submit}>
        ${mode === 'code' ? html`
          <label for="code">Pairing code</label>
          <p class="hint" id="hint">The gateway printed it when it started, such as <code>7K3M-Q9TD</code>.</p>
          <input id="code" class="code-input" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" maxlength="16"
            required aria-describedby="hint" value=${text} onInput=${(e) => setText(e.target.value.toUpperCase())} />`
    : html`
          <label for="token">Token</label>
          <p class="hint" id="hint">As <code>agentzero token create</code> printed it.</p>
          <input id="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="hint"
            value=${text} onInput=${(e) => setText(e.target.value)} />`}
        <button class="solid" disabled=${busy}>${mode === 'code' ? 'Pair this browser' : 'Sign in'}</button>
      </form>
      ${words && html`<${Trouble} words=${words} />`}
      <p>${mode === 'code'
    ? html`<button type="button" class="link" onClick=${turn('token')}>Use a token instead</button>`
    : html`<button type="button" class="link" onClick=${turn('code')}>Use a pairing code instead</button>`}</p>
      <details open=${Boolean(words?.kind && words.kind !== 'wrong')}>
        <summary>No code, or it has expired?</summary>
        <ul>
          <li><${Words} text=${'`agentzero token create --name laptop --scope admin` on the gateway’s machine makes a token for this browser. What is paired stays so.'} /></li>
          <li><${Words} text=${'`agentzero gateway --new-pairing` starts the gateway with a new code. It revokes all tokens.'} /></li>
          <li>A code is good for one use and ten minutes; five wrong tries end it.</li>
        </ul>
      </details>
    </div>
  </main>`;
}

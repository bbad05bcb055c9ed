// Connect: ready-made beginnings for clients, and the tokens they need.
import { api, me, origin } from './api.js';
import { html, useLoad, useState, useStore } from './ui.js';
import { CopyButton, Empty, Sure, Trouble, useClock } from './parts.js';
import { ago, clean } from './words.js';

export function Connect() {
  const [made, setMade] = useState(null);
  const admin = useStore(me)?.scopes.includes('admin');
  return html`<div class="page" tabindex="0">
    <div class="head"><h1>Connect</h1></div>
    <div class="columns">
      <div>
        ${admin ? html`<${NewToken} made=${made} setMade=${setMade} />` : html`<p class="notice">This browser’s token may not make others: ask who is admin, or use <code>agentzero token create</code> on the gateway’s machine.</p>`}
        <${Snippets} token=${made?.token || 'YOUR_TOKEN'} />
      </div>
      ${admin && html`<${Tokens} key=${made?.id || ''} revoked=${(id) => { if (made?.id === id) setMade(null); }} />`}
    </div>
  </div>`;
}

function NewToken({ made, setMade }) {
  const [name, setName] = useState('');
  const [scope, setScope] = useState('chat');
  const [error, setError] = useState(null);
  const submit = async (e) => {
    e.preventDefault();
    setError(null);
    try {
      setMade(await api('POST', '/v1/tokens', { name: name.trim(), scopes: [scope] }));
      setName('');
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<section class="card">
    <h2>Make a token</h2>
    <form class="row" onSubmit=${submit}>
      <div class="field"><label for="name">Name</label><input id="name" required maxlength="64" placeholder="such as laptop or ci" value=${name} onInput=${(e) => setName(e.target.value)} /></div>
      <div class="field"><label for="scope">May</label><select id="scope" value=${scope} onChange=${(e) => setScope(e.target.value)}>
        <option value="chat">chat</option><option value="webhook">send webhooks</option><option value="admin">do everything</option></select></div>
      <button class="solid">Make</button>
    </form>
    ${error && html`<${Trouble} error=${error} words=${error.param === 'name' ? { title: 'This name cannot be used', detail: error.message, remedy: '' } : undefined} />`}
    ${made && html`<div class="secret" role="status"><p><strong>${clean(made.name)}</strong>: copy it now, it is not shown again. The snippets below hold it.</p>
      <div class="copyable"><code>${made.token}</code><${CopyButton} text=${made.token} /></div></div>`}
  </section>`;
}

function Tokens({ revoked }) {
  const list = useLoad(() => api('GET', '/v1/tokens'), []);
  const own = useStore(me)?.token_id;
  useClock(30);
  const revoke = (t) => api('DELETE', `/v1/tokens/${encodeURIComponent(t.id)}`).then(() => {
    revoked(t.id);
    list.again();
  }, list.again);
  const all = list.data?.data || [];
  return html`<section class="card tokens" aria-label="Tokens">
    <h2>Tokens</h2>
    ${list.error && html`<${Trouble} error=${list.error} retry=${list.again} />`}
    ${list.data && all.length === 0 && html`<${Empty} title="No tokens"><p>Make one on this page.</p></${Empty}>`}
    <ul class="plain-list">${all.slice().reverse().map((t) => html`<li key=${t.id}>
      <div><strong class="isolate">${clean(t.name)}</strong> ${t.id === own && html`<span class="badge live">this browser</span>`}
        <div class="soft small">${t.scopes.includes('admin') ? 'admin' : t.scopes.join(', ')} · ${t.owner} · ${t.last_used ? `used ${ago(t.last_used)}` : 'never used'}</div></div>
      <${Sure} label="Revoke" question=${t.id === own ? 'Sign this browser out?' : 'End it, and what it has open?'} act=${() => revoke(t)} />
    </li>`)}</ul>
  </section>`;
}

function Snippets({ token }) {
  const models = useLoad(() => api('GET', '/v1/models'), []);
  const names = (models.data?.data || []).map((m) => m.id);
  const liked = localStorage.getItem('agentzero.model');
  const model = names.includes(liked) ? liked : names[0] || 'default';
  const [tab, setTab] = useState('curl');
  const all = snippets(origin, token, model);
  const move = (e) => {
    const names = all.map((s) => s.name);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    const next = names[(names.indexOf(tab) + step + names.length) % names.length];
    setTab(next);
    document.getElementById('tab-' + next).focus();
  };
  const shown = all.find((s) => s.name === tab);
  return html`<section class="card">
    <h2>Use it from your code</h2>
    <div class="tabs" role="tablist" aria-label="Clients" onKeyDown=${move}>${all.map((s) => html`<button type="button" key=${s.name} id=${'tab-' + s.name} role="tab" aria-selected=${s.name === tab}
      aria-controls="snippet" tabindex=${s.name === tab ? 0 : -1} onClick=${() => setTab(s.name)}>${s.title}</button>`)}</div>
    <div id="snippet" role="tabpanel" aria-labelledby=${'tab-' + tab}>
      <div class="code"><div class="code-bar"><span>${shown.note}</span><${CopyButton} text=${shown.text} /></div><pre tabindex="0" role="region" aria-label=${shown.title}><code>${shown.text}</code></pre></div>
    </div>
  </section>`;
}

// snippets are whole programs; test/dashboard runs some of them.
export function snippets(base, token, model) {
  const socket = base.replace(/^http/, 'ws');
  return [
    { name: 'curl', title: 'curl', note: 'shell', text: `curl -N ${base}/v1/chat/completions \\
  -H 'Authorization: Bearer ${token}' \\
  -H 'Content-Type: application/json' \\
  -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}'` },
    { name: 'python', title: 'Python', note: 'pip install openai', text: `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key="${token}")
stream = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()` },
    { name: 'javascript', title: 'JavaScript', note: 'npm install openai', text: `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${base}/v1', apiKey: '${token}' });
const stream = await client.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello' }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
}` },
    { name: 'go', title: 'Go', note: 'go get github.com/openai/openai-go', text: `package main

import (
	"context"
	"fmt"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

func main() {
	client := openai.NewClient(
		option.WithBaseURL("${base}/v1/"),
		option.WithAPIKey("${token}"),
	)
	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:    "${model}",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")},
	})
	for stream.Next() {
		if chunk := stream.Current(); len(chunk.Choices) > 0 {
			fmt.Print(chunk.Choices[0].Delta.Content)
		}
	}
	if err := stream.Err(); err != nil {
		panic(err)
	}
}` },
    { name: 'websocket', title: 'WebSocket', note: 'in a browser, or Node', text: `// The token goes as a subprotocol: browsers cannot set headers.
const socket = new WebSocket('${socket}/ws/chat?session=my-session', ['agentzero.v1', 'bearer.${token}']);
socket.onopen = () => socket.send('Hello');
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type === 'delta') console.log(frame.delta);
  if (frame.type === 'error') console.error(frame.message);
  if (frame.type === 'done') socket.close();
};` },
    { name: 'webhook', title: 'Webhook', note: 'shell; the token needs the scope webhook', text: `curl ${base}/webhook \\
  -H 'Authorization: Bearer ${token}' \\
  -H 'Content-Type: application/json' \\
  -d '{"message":"The build is broken: summarize why."}'` },
  ];
}

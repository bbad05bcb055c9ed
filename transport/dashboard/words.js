// Errors in words: what happened, and what a person can do about it.

const remedies = {
  network: () => ['The gateway cannot be reached', 'Check that it runs (`agentzero gateway`) and that this device is online. The page tries again by itself.'],
  agent_unavailable: () => ['No agent answers here yet', 'Set `agent.provider` in agentzero.toml and send the gateway SIGHUP, or start it with `--demo` to try it without a model.'],
  agent_execution_failed: () => ['The model’s server failed', 'Check that it runs and takes this gateway’s key; Providers shows what the gateway sees of it. Then send the message again.'],
  rate_limited: (e) => ['Too many requests', `Try again ${when(e)}. The limit is \`gateway.rate_limit_max\`.`],
  queue_full: (e) => ['Too much is waiting already', `Try again ${when(e)}, when some of it is done.`],
  draining: () => ['The gateway is shutting down', 'What was said is kept. Send the message again when it is back.'],
  store_unavailable: () => ['The gateway cannot write to its disk', 'Check the space and the permissions of its data directory. Nothing was accepted.'],
  timeout: () => ['The answer took too long', 'Send the message again, or raise the provider’s time limits.'],
  turn_interrupted: () => ['Stopped', ''],
  session_busy: () => ['The session is busy', 'Wait for the present answer, or stop it.'],
  payload_too_large: () => ['The message is too long', 'Shorten it; the limit is `gateway.max_body_bytes`.'],
  no_trace: () => ['This message ended without an answer', 'It failed or was cancelled while this page could not hear of it.'],
  gap: () => ['Some events are no longer kept', 'The conversation was read anew.'],
  not_found: (e) => e.param === 'model' ? ['There is no such model', 'Choose another from the list.'] : ['It is not there any more', 'It may have been deleted.'],
  auth_failed: () => ['This is not allowed', 'The token of this browser does not have the scope for it. Pair as the first device, or use a token with the scope admin.'],
  auth_required: () => ['Sign in first', 'Pair this browser with the code that the gateway prints.'],
  origin_denied: () => ['The gateway does not know this address', 'Add the name in the address bar to `gateway.allowed_hosts`.'],
  internal: () => ['The gateway failed', 'Its log has the details.'],
  bad_request: () => ['The gateway does not understand this', ''],
};

// inWords is { title, detail, remedy }; detail is what the gateway itself said.
export function inWords(e) {
  const [title, remedy] = (remedies[e.code] || (() => ['Something went wrong', '']))(e);
  return { title, remedy, detail: e.code === 'network' ? '' : e.message || '' };
}

function when(e) {
  const s = Math.ceil(e.retryAfter || e.retry_after || 0);
  return s > 1 ? `in ${s} seconds` : 'in a second';
}

// pairingWords tells why a code was refused. The gateway has one code for all of
// it, so its own words decide.
export function pairingWords(e) {
  const told = e.message || '';
  if (e.code === 'rate_limited' && !/lock/.test(told)) return inWords(e);
  if (e.code === 'rate_limited') return { title: 'Too many wrong codes', kind: 'locked', detail: '', remedy: `Pairing is locked for ${minutes(e.retryAfter)}, and the code is dead. Get another one as below.` };
  if (/expired/.test(told)) return { title: 'The code has expired', kind: 'expired', detail: '', remedy: 'A code is good for 10 minutes. Get another one as below.' };
  if (/no pairing code/.test(told)) return { title: 'No code is open now', kind: 'none', detail: '', remedy: 'It was used already, or a device is paired. Get another one as below.' };
  const left = /tries left: (\d+)/.exec(told);
  if (left) return { title: 'This is not the code', kind: 'wrong', detail: '', remedy: `Compare it with what the gateway printed. Tries left: ${left[1]}.` };
  if (/last try/.test(told)) return { title: 'This is not the code, and it was the last try', kind: 'locked', detail: '', remedy: 'The code is dead now. Get another one as below.' };
  return inWords(e);
}

function minutes(seconds) {
  return seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : `${Math.max(1, Math.ceil(seconds))} seconds`;
}

// clean makes what others wrote harmless to show in a line or a block: characters
// that turn the direction of the text around them, or control a terminal, are
// shown by their number.
export function clean(text) {
  return String(text ?? '').replace(/[\u202a-\u202e\u2066-\u2069]/g, (c) => `⟦U+${c.codePointAt(0).toString(16).toUpperCase()}⟧`)
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '\ufffd');
}

export function ago(seconds, now = Date.now() / 1000) {
  const d = Math.max(0, now - seconds);
  if (d < 5) return 'now';
  if (d < 60) return `${Math.floor(d)} s ago`;
  if (d < 3600) return `${Math.floor(d / 60)} min ago`;
  if (d < 86400) return `${Math.floor(d / 3600)} h ago`;
  return new Date(seconds * 1000).toLocaleDateString();
}

export function count(n) { return n == null ? '–' : n.toLocaleString('en'); }

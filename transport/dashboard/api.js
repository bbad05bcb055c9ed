// The gateway's API, as this page uses it. The token is in localStorage, and goes
// nowhere but into the Authorization header.
import { store } from './ui.js';

const TOKEN = 'agentzero.token';

// session is who is signed in: undefined before it is known, null for nobody.
export const me = store(undefined);

// farewell is why somebody was signed out, told above the pairing form.
export const farewell = store('');

export function token() { return localStorage.getItem(TOKEN) || ''; }

export function authorization() {
  const t = token();
  return t ? { Authorization: 'Bearer ' + t } : {};
}

// Failure is an answer that says no, or none at all (code "network").
export class Failure extends Error {
  constructor({ status = 0, code = 'network', message, retryAfter = 0, param = null }) {
    super(message);
    Object.assign(this, { status, code, retryAfter, param });
  }
}

export async function failureOf(response) {
  let e = {};
  try { e = (await response.json()).error || {}; } catch { /* no JSON: a proxy's page */ }
  return new Failure({
    status: response.status, code: e.code || 'http_' + response.status,
    message: e.message || `the gateway answered ${response.status}`, param: e.param,
    retryAfter: Number(response.headers.get('Retry-After')) || 0,
  });
}

// address makes one of the gateway's own: the page may be below a path of a proxy.
export function address(path) { return new URL('.' + path, base).href; }
const base = new URL('./', location.href.split('#')[0]);
export const origin = base.href.replace(/\/$/, '');

// request sends a request with the token; a body is sent as JSON.
export async function request(method, path, body, headers = {}) {
  const options = { method, headers: { ...authorization(), ...headers }, cache: 'no-store' };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(address(path), options);
  } catch {
    throw new Failure({ message: 'the gateway cannot be reached' });
  }
  if (!response.ok) {
    const failure = await failureOf(response);
    await doubt(failure);
    throw failure;
  }
  return response;
}

export async function api(method, path, body, headers) {
  const response = await request(method, path, body, headers);
  try {
    return await response.json();
  } catch {
    throw new Failure({ message: 'the connection was lost in the middle of an answer' });
  }
}

// doubt asks, after a refusal, whether the token is still good, and signs out if
// it is not.
export async function doubt(failure) {
  if (!me.get() || (failure.code !== 'auth_failed' && failure.code !== 'auth_required')) return;
  const response = await fetch(address('/v1/whoami'), { headers: authorization(), cache: 'no-store' }).catch(() => null);
  if (response && (response.status === 401 || response.status === 403)) {
    leave('This browser’s token is not good any more: it was revoked, or the gateway was paired anew.');
  }
}

// enter finds out who is signed in.
export async function enter() {
  if (!token() && document.documentElement.dataset.pairing === 'required') {
    me.set(null);
    return;
  }
  let response;
  try {
    response = await fetch(address('/v1/whoami'), { headers: authorization(), cache: 'no-store' });
  } catch {
    throw new Failure({ message: 'the gateway cannot be reached' });
  }
  if (response.ok) {
    me.set(await response.json());
    return;
  }
  const failure = await failureOf(response);
  if (response.status !== 401 && response.status !== 403) throw failure;
  if (failure.code === 'origin_denied') throw failure;
  if (token()) farewell.set('This browser’s token is not good any more: it was revoked, or the gateway was paired anew.');
  localStorage.removeItem(TOKEN);
  me.set(null);
}

export async function pair(code) {
  const response = await request('POST', '/pair', undefined, { 'X-Pairing-Code': code, 'X-Device-Name': deviceName() });
  localStorage.setItem(TOKEN, (await response.json()).token);
  farewell.set('');
  await enter();
}

// useToken signs in with a token that was made elsewhere.
export async function useToken(text) {
  const response = await fetch(address('/v1/whoami'), { headers: { Authorization: 'Bearer ' + text }, cache: 'no-store' })
    .catch(() => { throw new Failure({ message: 'the gateway cannot be reached' }); });
  if (!response.ok) throw await failureOf(response);
  localStorage.setItem(TOKEN, text);
  farewell.set('');
  me.set(await response.json());
}

// leave signs out.
export function leave(why = '') {
  localStorage.removeItem(TOKEN);
  farewell.set(why);
  me.set(null);
}

// Another tab has signed in or out.
addEventListener('storage', (e) => {
  if (e.key !== TOKEN && e.key !== null) return;
  if (token()) enter().catch(() => {});
  else if (me.get()) leave('You signed out in another tab.');
});

export const may = (scope) => Boolean(me.get()?.scopes.includes(scope));

function deviceName() {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' : /Chrome\//.test(agent) ? 'Chrome' : /Safari\//.test(agent) ? 'Safari' : 'browser';
  const system = /Android/.test(agent) ? 'Android' : /iPhone|iPad/.test(agent) ? 'iOS' : /Mac OS/.test(agent) ? 'macOS' : /Windows/.test(agent) ? 'Windows' : /Linux/.test(agent) ? 'Linux' : '';
  return system ? `${browser} on ${system}` : browser;
}

// newID makes an id of 24 letters behind a prefix.
export function newID(prefix) {
  const letters = '0123456789abcdefghjkmnpqrstvwxyz';
  return prefix + Array.from(crypto.getRandomValues(new Uint8Array(24)), (b) => letters[b & 31]).join('');
}

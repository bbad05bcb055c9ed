// EventSource from npm on a session's events.
import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { EventSource } from 'eventsource'
import { bounded, call, count, token, url } from './gateway.mjs'

const kinds = ['turn.queued', 'turn.started', 'delta', 'turn.completed', 'turn.interrupted', 'turn.failed', 'gap']

/** Opens a session's events; seen has all that came, until() waits for one. */
async function watch(session, { base = url, query = '', headers = {} } = {}) {
  const requests = []
  const source = new EventSource(`${base}/v1/sessions/${session}/events${query}`, {
    fetch: (input, init) => {
      requests.push(init.headers)
      return fetch(input, { ...init, headers: { ...init.headers, ...headers, authorization: `Bearer ${token}` } })
    },
  })
  const seen = []
  let wake = () => {}
  for (const kind of kinds) {
    source.addEventListener(kind, e => {
      seen.push({ kind, id: e.lastEventId, ...JSON.parse(e.data) })
      wake()
    })
  }
  const until = async met => {
    while (!seen.some(met)) await new Promise(woken => (wake = woken))
    return seen.find(met)
  }
  await new Promise((open, fail) => {
    source.onopen = open
    source.onerror = err => source.readyState === EventSource.CLOSED && fail(new Error(err.message))
  })
  return { source, seen, until, requests }
}

const text = seen => seen.map(e => e.delta ?? '').join('')

/** A relay to the gateway, whose connections can be cut. */
async function relay(t) {
  const { hostname, port } = new URL(url)
  const open = new Set()
  const server = net.createServer(client => {
    const gateway = net.connect(port, hostname)
    for (const [from, to] of [[client, gateway], [gateway, client]]) {
      open.add(from)
      from.pipe(to)
      from.on('error', () => {})
      from.on('close', () => (open.delete(from), to.destroy()))
    }
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  const cut = () => open.forEach(socket => socket.destroy())
  t.after(() => (cut(), server.close()))
  return { base: `http://127.0.0.1:${server.address().port}`, cut }
}

test('the events of a turn', bounded, async t => {
  await call('POST', '/v1/sessions', { id: 'es-live' })
  const { source, seen, until } = await watch('es-live')
  t.after(() => source.close())
  const { turn_id } = await call('POST', '/v1/sessions/es-live/messages', { content: 'there and back', model: 'echo' })
  await until(e => e.kind === 'turn.completed')
  assert.equal(text(seen), 'there and back')
  assert.ok(seen.every(e => e.turn_id === turn_id))
  assert.equal(seen.filter(e => e.kind === 'turn.started').length, 1)
  const [epochs, numbers] = [seen.map(e => e.id.split('-')[0]), seen.map(e => +e.id.split('-')[1])]
  assert.equal(new Set(epochs).size, 1)
  assert.deepEqual(numbers, numbers.map((_, i) => numbers[0] + i))
})

test('a connection that is cut: the client comes back and misses nothing', bounded, async t => {
  const { base, cut } = await relay(t)
  await call('POST', '/v1/sessions', { id: 'es-cut' })
  const { source, seen, until, requests } = await watch('es-cut', { base })
  t.after(() => source.close())
  await call('POST', '/v1/sessions/es-cut/messages', { content: 'count', model: 'counts' })
  await until(() => seen.filter(e => e.kind === 'delta').length >= 10)
  cut()
  await until(e => e.kind === 'turn.completed')
  assert.equal(requests.length, 2, 'it did not come back')
  assert.ok(requests[1]['Last-Event-ID'], JSON.stringify(requests))
  assert.equal(text(seen), count(300))
  assert.equal(new Set(seen.map(e => e.id)).size, seen.length, 'an event came twice')
})

test('a fresh client that knows the last event', bounded, async t => {
  await call('POST', '/v1/sessions', { id: 'es-fresh' })
  const first = await watch('es-fresh')
  await call('POST', '/v1/sessions/es-fresh/messages', { content: 'count', model: 'counts' })
  await first.until(() => first.seen.filter(e => e.kind === 'delta').length >= 10)
  first.source.close()
  const got = first.seen.slice() // what was under way may still have come

  const second = await watch('es-fresh', { headers: { 'Last-Event-ID': got.at(-1).id } })
  t.after(() => second.source.close())
  await second.until(e => e.kind === 'turn.completed')
  assert.equal(text(got) + text(second.seen), count(300))
})

test('a position that is gone', bounded, async t => {
  await call('POST', '/v1/sessions', { id: 'es-gap' })
  const { source, until } = await watch('es-gap', { headers: { 'Last-Event-ID': 'before-7' } })
  t.after(() => source.close())
  const gap = await until(e => e.kind === 'gap')
  assert.equal(gap.messages, '/v1/sessions/es-gap/messages')
  assert.equal(gap.error.code, 'gap')
})

test('a session that is not there ends the client', bounded, async () => {
  await assert.rejects(watch('es-nobody'), /404/)
})

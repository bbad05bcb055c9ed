// WebSockets on /ws/chat: with the ws package, and as a browser has them, with
// the WebSocket that is built into Node.js.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { WebSocket as WS } from 'ws'
import { bounded, call, count, hangup, lastBody, token, url } from './gateway.mjs'

const address = url.replace('http', 'ws') + '/ws/chat'
const authorized = { headers: { authorization: `Bearer ${token}` } }
const pair = ['agentzero.v1', `bearer.${token}`]

/** Wraps a WebSocket of either kind: next() is the next frame. */
async function connect(socket) {
  const frames = []
  let wake = () => {}
  socket.addEventListener('message', e => {
    frames.push(JSON.parse(e.data))
    wake()
  })
  await new Promise((open, fail) => {
    socket.addEventListener('open', open)
    socket.addEventListener('error', e => fail(e.error ?? new Error(e.message)))
  })
  const next = async () => {
    while (frames.length === 0) await new Promise(woken => (wake = woken))
    return frames.shift()
  }
  /** Reads to the end of a turn. */
  const turn = async () => {
    for (let text = ''; ; ) {
      const frame = await next()
      if (frame.type !== 'delta') return { text, last: frame }
      text += frame.delta
    }
  }
  return { socket, next, turn, say: m => socket.send(typeof m === 'string' ? m : JSON.stringify(m)) }
}

/** Opens one that must be refused, and returns the answer's status and error. */
async function refused(...args) {
  const socket = new WS(...args)
  socket.on('error', () => {})
  const [, answer] = await once(socket, 'unexpected-response')
  const body = JSON.parse(Buffer.concat(await answer.toArray()))
  socket.terminate()
  return { status: answer.statusCode, code: body.error.code }
}

test('a chat, in all forms of a message', bounded, async () => {
  const { socket, say, turn } = await connect(new WS(address, authorized))
  const forms = ['plain text', { type: 'message', content: 'typed' }, { message: 'short' }, { type: 'message', content: 'Hi.', model: 'hello' }]
  for (const [i, text] of ['plain text', 'typed', 'short', 'Hello there'].entries()) {
    say(forms[i])
    assert.deepEqual(await turn(), { text, last: { type: 'done' } })
  }
  const { messages } = await lastBody('hello')
  assert.deepEqual(messages.map(m => m.content), ['plain text', 'plain text', 'typed', 'typed', 'short', 'short', 'Hi.'])
  socket.close(1000, 'bye')
  const [code] = await once(socket, 'close')
  assert.equal(code, 1000)
})

test('the token as a subprotocol, of which only the first is echoed', bounded, async () => {
  const { socket, say, turn } = await connect(new WS(address, pair))
  assert.equal(socket.protocol, 'agentzero.v1')
  say('Hi.')
  assert.equal((await turn()).text, 'Hi.')
  socket.close()
})

test('the WebSocket of browsers', bounded, async () => {
  const { socket, say, turn } = await connect(new WebSocket(address, pair))
  assert.equal(socket.protocol, 'agentzero.v1')
  say('Grüße 👋')
  assert.equal((await turn()).text, 'Grüße 👋')
  const closed = once(socket, 'close')
  socket.close(1000)
  const [{ code, wasClean }] = await closed
  assert.deepEqual([code, wasClean], [1000, true])
})

test('a ticket, which is good for one', bounded, async () => {
  for (const open of [t => [`${address}?ticket=${t}`], t => [address, ['agentzero.v1', `ticket.${t}`]]]) {
    const { ticket } = await call('POST', '/v1/ws-ticket')
    const { socket, say, turn } = await connect(new WS(...open(ticket)))
    say('Hi.')
    assert.equal((await turn()).text, 'Hi.')
    socket.close()
    assert.deepEqual(await refused(...open(ticket)), { status: 403, code: 'auth_failed' })
  }
})

test('who is not let in', bounded, async () => {
  assert.deepEqual(await refused(address), { status: 401, code: 'auth_required' })
  assert.deepEqual(await refused(address, ['agentzero.v1', 'bearer.az_wrong']), { status: 403, code: 'auth_failed' })
  assert.deepEqual(await refused(address, { ...authorized, origin: 'https://elsewhere.example' }), { status: 403, code: 'origin_denied' })
  assert.deepEqual(await refused(`${address}?session=a%2Fb`, authorized), { status: 400, code: 'bad_request' })
  assert.deepEqual(await refused(`${address}?session=ws-none&after=7`, authorized), { status: 404, code: 'not_found' })
  await call('POST', '/v1/sessions', { id: 'ws-gap' })
  assert.deepEqual(await refused(`${address}?session=ws-gap&after=before-7`, authorized), { status: 410, code: 'gap' })
})

test('a session that is resumed where the connection was lost', bounded, async () => {
  const first = await connect(new WS(`${address}?session=ws-resumed`, authorized))
  first.say({ type: 'message', content: 'count', model: 'counts' })
  let text = ''
  let seq
  while (text.length < count(10).length) {
    const frame = await first.next()
    assert.ok(frame.turn && frame.seq > (seq ?? 0), JSON.stringify(frame))
    seq = frame.seq
    text += frame.delta
  }
  first.socket.terminate()
  const second = await connect(new WS(`${address}?session=ws-resumed&after=${seq}`, authorized))
  const rest = await second.turn()
  assert.equal(text + rest.text, count(300))
  assert.equal(rest.last.type, 'done')
  second.socket.close()
})

test('the id of a fresh session, by which another joins it', bounded, async () => {
  const socket = new WS(address, authorized)
  const upgraded = once(socket, 'upgrade')
  const mine = await connect(socket)
  const session = (await upgraded)[0].headers['x-session-id']
  const other = await connect(new WS(`${address}?session=${session}`, authorized))
  mine.say('Hi.')
  assert.equal((await mine.turn()).text, 'Hi.')
  assert.equal((await other.turn()).text, 'Hi.')
  mine.socket.close()
  other.socket.close()
})

test('pings, and a cancel, during a turn', bounded, async () => {
  const { socket, say, next, turn } = await connect(new WS(address, authorized))
  say({ type: 'message', content: 'Hi.', model: 'endless' })
  for (let text = ''; text !== '1 2 3 '; ) text += (await next()).delta
  socket.ping('still there?')
  assert.equal(String((await once(socket, 'pong'))[0]), 'still there?')
  say({ type: 'cancel' })
  const { text, last } = await turn()
  assert.deepEqual([text, last.type, last.code], ['', 'error', 'turn_interrupted'])
  await hangup('endless')
  say('Go on.')
  assert.equal((await turn()).text, 'Go on.')
  socket.close()
})

test('a binary message is refused, and the connection stays', bounded, async () => {
  const { socket, say, next, turn } = await connect(new WS(address, authorized))
  socket.send(Buffer.from([1, 2, 3]))
  const frame = await next()
  assert.deepEqual([frame.type, frame.code], ['error', 'bad_request'])
  say('Text, then.')
  assert.equal((await turn()).text, 'Text, then.')
  socket.close()
})

test('a turn that fails ends with an error', bounded, async () => {
  const { socket, say, turn } = await connect(new WS(address, authorized))
  for (const [model, text] of [['dies', '1 2 '], ['limited', ''], ['nobody', '']]) {
    say({ type: 'message', content: 'Hi.', model })
    const end = await turn()
    assert.deepEqual([end.text, end.last.type], [text, 'error'], model)
  }
  socket.close()
})

// What official signing libraries make must be taken, and what they refuse be
// refused; and what the gateway signs, they must verify.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import { sign, verify } from '@octokit/webhooks-methods'
import { Webhook } from 'standardwebhooks'

import { bounded, url } from './gateway.mjs'

const bolt = createRequire(import.meta.url)('@slack/bolt')

const standard = new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
const gitHubSecret = "It's a Secret to Everybody"
const slackSecret = '8f742231b10e8888abcd99yyyzzz85a5'

async function post(path, body, headers) {
  const answer = await fetch(`${url}/v1/webhook/${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
  return { status: answer.status, body: await answer.json() }
}

const standardHeaders = (id, at, body) => ({
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  'webhook-signature': standard.sign(id, at, body),
})

test('standardwebhooks signs a delivery, and verifies the answer', bounded, async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const body = JSON.stringify({ message: 'Grüße', reply_to: `http://127.0.0.1:${server.address().port}/answers` })
    const asked = once(server, 'request')
    const taken = await post('std', body, standardHeaders('msg_1', new Date(), body))
    assert.equal(taken.status, 200, JSON.stringify(taken.body))
    assert.equal(taken.body.delivery_id, 'msg_1')
    const [request, response] = await asked
    const text = Buffer.concat(await request.toArray()).toString()
    response.end()
    const told = standard.verify(text, request.headers)
    assert.equal(told.data.text, 'Grüße')
    assert.throws(() => standard.verify(text + ' ', request.headers))
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('what standardwebhooks refuses is refused', bounded, async () => {
  const body = '{"message":"x","reply_to":"http://127.0.0.1:1/"}'
  const now = new Date()
  const minutes = n => new Date(now.getTime() + n * 60_000)
  const other = new Webhook('whsec_' + Buffer.from('another secret').toString('base64'))
  for (const [name, text, headers] of [
    ['another body', body + ' ', standardHeaders('msg_2', now, body)],
    ['too old', body, standardHeaders('msg_2', minutes(-6), body)],
    ['too new', body, standardHeaders('msg_2', minutes(6), body)],
    ['another id', body, { ...standardHeaders('msg_2', now, body), 'webhook-id': 'msg_3' }],
    ['another secret', body, { ...standardHeaders('msg_2', now, body), 'webhook-signature': other.sign('msg_2', now, body) }],
    ['no signature', body, { 'webhook-id': 'msg_2' }],
  ]) {
    assert.throws(() => standard.verify(text, headers), undefined, name)
    const answer = await post('std', text, headers)
    assert.equal(answer.status, 401, name)
    assert.equal(answer.body.error.code, 'bad_signature', name)
  }
  // One of several signatures is enough.
  const headers = standardHeaders('msg_4', now, body)
  headers['webhook-signature'] = `${other.sign('msg_4', now, body)} ${headers['webhook-signature']}`
  standard.verify(body, headers)
  assert.equal((await post('std', body, headers)).status, 200)
})

test('@octokit/webhooks-methods signs a delivery', bounded, async () => {
  const body = JSON.stringify({ zen: 'Keep it logically awesome. ✓', hook_id: 1 })
  const headers = { 'x-github-event': 'ping', 'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958' }
  const signature = await sign(gitHubSecret, body)
  assert.ok(await verify(gitHubSecret, body, signature))
  const taken = await post('github', body, { ...headers, 'x-hub-signature-256': signature })
  assert.equal(taken.status, 200)
  assert.equal(taken.body.detail, "ignored: GitHub's ping")
  assert.equal(taken.body.delivery_id, '72d3162e-cc78-11e3-81ab-4c9367dc0958')

  const forged = await sign('another', body)
  assert.ok(!await verify(gitHubSecret, body, forged))
  assert.equal((await post('github', body, { ...headers, 'x-hub-signature-256': forged })).status, 401)
  assert.equal((await post('github', body + ' ', { ...headers, 'x-hub-signature-256': signature })).status, 401)
})

test("@slack/bolt and the gateway believe the same requests", bounded, async () => {
  const body = JSON.stringify({ type: 'url_verification', challenge: 'c-1' })
  const now = Math.floor(Date.now() / 1000)
  const slackSign = (secret, at, text) => 'v0=' + createHmac('sha256', secret).update(`v0:${at}:${text}`).digest('hex')
  for (const [name, text, at, signature, good] of [
    ['good', body, now, slackSign(slackSecret, now, body), true],
    ['another body', body + ' ', now, slackSign(slackSecret, now, body), false],
    ['another secret', body, now, slackSign('x', now, body), false],
    ['another time', body, now - 1, slackSign(slackSecret, now, body), false],
    ['too old', body, now - 301, slackSign(slackSecret, now - 301, body), false],
    ['another version', body, now, slackSign(slackSecret, now, body).replace('v0=', 'v1='), false],
  ]) {
    const believed = bolt.isValidSlackRequest({
      signingSecret: slackSecret, body: text,
      headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': at },
    })
    assert.equal(believed, good, `@slack/bolt: ${name}`)
    const answer = await post('slack', text, { 'x-slack-signature': signature, 'x-slack-request-timestamp': String(at) })
    assert.equal(answer.status, good ? 200 : 401, name)
    if (good) assert.deepEqual(answer.body, { challenge: 'c-1' })
  }
})

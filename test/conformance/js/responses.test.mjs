// The official OpenAI client from npm, on responses and conversations.
import assert from 'node:assert/strict'
import test from 'node:test'
import OpenAI from 'openai'
import { baseURL, bounded, count, lastBody, token } from './gateway.mjs'

const client = new OpenAI({ baseURL, apiKey: token, maxRetries: 0 })
const weather = {
  type: 'function',
  name: 'weather',
  description: 'The weather of a city.',
  strict: true,
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
}
const said = async model => (await lastBody(model)).messages.map(m => m.content)

async function until(id, status) {
  for (;;) { // bounded by the test
    const response = await client.responses.retrieve(id)
    if (response.status === status) return response
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

test('a response, and the same when it is asked for', bounded, async () => {
  const r = await client.responses.create({ model: 'hello', input: 'Hi.', instructions: 'Be kind.' })
  assert.equal(r.output_text, 'Hello there')
  assert.equal(r.status, 'completed')
  assert.deepEqual(await said('hello'), ['Be kind.', 'Hi.'])
  const { _request_id: _, ...again } = await client.responses.retrieve(r.id)
  const { _request_id: __, ...first } = r
  assert.deepEqual(again, first)
})

test('the stream helper rebuilds the response', bounded, async () => {
  const stream = client.responses.stream({ model: 'hello', input: 'Hi.' })
  const numbers = []
  const snapshots = []
  stream.on('event', e => numbers.push(e.sequence_number))
  stream.on('response.output_text.delta', e => snapshots.push(e.snapshot))
  const final = await stream.finalResponse()
  assert.equal(final.output_text, 'Hello there')
  assert.deepEqual(snapshots, ['Hel', 'Hello ', 'Hello there'])
  assert.deepEqual(numbers, numbers.map((_, i) => i))
})

test('a stream that was cut is resumed', bounded, async () => {
  const stream = await client.responses.create({ model: 'counts', input: 'Hi.', background: true, stream: true })
  const seen = []
  for await (const event of stream) {
    seen.push(event)
    if (seen.length === 50) break
  }
  const id = seen[0].response.id
  const rest = await client.responses.retrieve(id, { stream: true, starting_after: seen.at(-1).sequence_number })
  for await (const event of rest) seen.push(event)
  assert.deepEqual(seen.map(e => e.sequence_number), seen.map((_, i) => i))
  assert.equal(seen.map(e => (e.type === 'response.output_text.delta' ? e.delta : '')).join(''), count(300))
  assert.equal(seen.at(-1).type, 'response.completed')
  const whole = await client.responses.stream({ response_id: id }).finalResponse()
  assert.equal(whole.output_text, count(300))
})

test('background, poll and cancel', bounded, async () => {
  const r = await client.responses.create({ model: 'counts', input: 'Hi.', background: true })
  assert.equal(r.status, 'queued')
  assert.equal((await until(r.id, 'completed')).output_text, count(300))
  const endless = await client.responses.create({ model: 'endless', input: 'Hi.', background: true })
  assert.equal((await client.responses.cancel(endless.id)).status, 'cancelled')
})

test('a chain, and a branch of it', bounded, async () => {
  const first = await client.responses.create({ model: 'echo', input: 'one' })
  await client.responses.create({ model: 'echo', input: 'two', previous_response_id: first.id })
  assert.deepEqual(await said('echo'), ['one', 'one', 'two'])
  await client.responses.create({ model: 'echo', input: 'three', previous_response_id: first.id })
  assert.deepEqual(await said('echo'), ['one', 'one', 'three'])
})

test('a conversation and its items', bounded, async () => {
  const conversation = await client.conversations.create({ metadata: { topic: 'x' } })
  await client.conversations.items.create(conversation.id, { items: [{ role: 'user', content: 'zero' }] })
  await client.responses.create({ model: 'echo', input: 'one', conversation: conversation.id })
  const items = []
  for await (const item of client.conversations.items.list(conversation.id, { order: 'asc', limit: 2 })) items.push(item)
  assert.deepEqual(items.map(i => i.content[0].text), ['zero', 'one', 'one'])
  assert.deepEqual((await client.conversations.items.retrieve(items[1].id, { conversation_id: conversation.id })).content, items[1].content)
  await client.conversations.items.delete(items[1].id, { conversation_id: conversation.id })
  await client.responses.create({ model: 'echo', input: 'two', conversation: conversation.id })
  assert.deepEqual(await said('echo'), ['zero', 'one', 'two'])
  assert.deepEqual((await client.conversations.update(conversation.id, { metadata: { topic: 'y' } })).metadata, { topic: 'y' })
  assert.equal((await client.conversations.delete(conversation.id)).deleted, true)
  await assert.rejects(client.conversations.retrieve(conversation.id), OpenAI.NotFoundError)
})

test('functions are called in a loop', bounded, async () => {
  let input = [{ role: 'user', content: 'How is it in Oslo and Rome?' }]
  let previous
  for (const model of ['tools', 'echo']) {
    const r = await client.responses.create({ model, input, tools: [weather], previous_response_id: previous })
    previous = r.id
    input = r.output
      .filter(i => i.type === 'function_call')
      .map(i => ({ type: 'function_call_output', call_id: i.call_id, output: `rain in ${JSON.parse(i.arguments).city}` }))
    if (input.length === 0) break
  }
  const messages = (await lastBody('echo')).messages
  assert.deepEqual(messages.map(m => m.role), ['user', 'assistant', 'tool', 'tool'])
  assert.deepEqual(messages.slice(2).map(m => [m.tool_call_id, m.content]), [['call_1', 'rain in Oslo'], ['call_2', 'rain in Rome']])
  assert.equal(messages[1].tool_calls.length, 2)
})

test('structured output is parsed', bounded, async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
  const r = await client.responses.parse({ model: 'city', input: 'Where?', text: { format: { type: 'json_schema', name: 'place', strict: true, schema } } })
  assert.deepEqual(JSON.parse(r.output_text), { city: 'Oslo' })
  assert.deepEqual((await lastBody('city')).response_format, { type: 'json_schema', json_schema: { name: 'place', strict: true, schema } })
})

test('what is not supported is named', bounded, async () => {
  await assert.rejects(client.responses.create({ model: 'hello', input: 'Hi.', tools: [{ type: 'web_search' }] }), e => {
    assert.ok(e instanceof OpenAI.BadRequestError)
    assert.equal(e.param, 'tools[0].type')
    return true
  })
})

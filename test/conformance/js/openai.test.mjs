// The official OpenAI client from npm.
import assert from 'node:assert/strict'
import test from 'node:test'
import OpenAI from 'openai'
import { arrival, baseURL, bounded, hangup, lastBody, token } from './gateway.mjs'

const client = new OpenAI({ baseURL, apiKey: token, maxRetries: 0 })
const user = content => [{ role: 'user', content }]
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city.',
    strict: true,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
}

test('a chat', bounded, async () => {
  const { data, response } = await client.chat.completions.create({ model: 'hello', messages: user('Hi.') }).withResponse()
  assert.equal(data.object, 'chat.completion')
  assert.match(data.id, /^chatcmpl-/)
  assert.equal(data.model, 'hello')
  assert.equal(data.choices[0].message.role, 'assistant')
  assert.equal(data.choices[0].message.content, 'Hello there')
  assert.equal(data.choices[0].finish_reason, 'stop')
  assert.deepEqual(data.usage, { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 })
  assert.ok(data._request_id)
  assert.equal(response.headers.get('x-request-id'), data._request_id)
})

test('fields that the gateway does not know reach the model', bounded, async () => {
  const sent = {
    model: 'hello',
    messages: user('Hi.'),
    temperature: 0.25,
    top_p: 0.5,
    seed: 7,
    stop: ['\n\n'],
    logit_bias: { 42: -100 },
    metadata: { who: 'ädä' },
    of_tomorrow: { list: [1, 'two', null] },
  }
  await client.chat.completions.create(sent)
  const { messages, ...got } = await lastBody('hello')
  const { messages: asked, ...want } = sent
  assert.deepEqual(messages, asked)
  assert.deepEqual({ ...got, stream: undefined, stream_options: undefined }, { ...want, stream: undefined, stream_options: undefined })
})

test('a stream', bounded, async () => {
  const stream = await client.chat.completions.create({ model: 'hello', messages: user('Hi.'), stream: true })
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  assert.equal(chunks.map(c => c.choices[0].delta.content ?? '').join(''), 'Hello there')
  assert.equal(new Set(chunks.map(c => c.id)).size, 1)
  assert.equal(new Set(chunks.map(c => c.created)).size, 1)
  for (const chunk of chunks) {
    assert.equal(chunk.object, 'chat.completion.chunk')
    assert.equal(chunk.model, 'hello')
    assert.ok(!chunk.usage, 'usage that nobody asked for')
  }
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop')
})

test('usage at the end of a stream', bounded, async () => {
  const stream = await client.chat.completions.create({
    model: 'hello',
    messages: user('Hi.'),
    stream: true,
    stream_options: { include_usage: true },
  })
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  const last = chunks.pop()
  assert.deepEqual(last.choices, [])
  assert.deepEqual(last.usage, { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 })
  assert.ok(chunks.every(c => !c.usage && c.choices.length === 1))
})

test("the client's own stream helper", bounded, async () => {
  const runner = client.chat.completions.stream({ model: 'echo', messages: user('there and back again') })
  let text = ''
  runner.on('content', delta => (text += delta))
  const final = await runner.finalChatCompletion()
  assert.equal(text, 'there and back again')
  assert.equal(final.choices[0].message.content, text)
})

test('tools, whole: as sent to the model, as answered to the client', bounded, async () => {
  const messages = user('The weather in Oslo and Rome?')
  const asked = { tools: [weather], tool_choice: 'auto', parallel_tool_calls: true }
  const answer = await client.chat.completions.create({ model: 'tools', messages, ...asked })
  const { message, finish_reason } = answer.choices[0]
  assert.equal(finish_reason, 'tool_calls')
  assert.equal(message.content, null)
  assert.deepEqual(message.tool_calls, [
    { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
    { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
  ])
  const { tools, tool_choice, parallel_tool_calls } = await lastBody('tools')
  assert.deepEqual({ tools, tool_choice, parallel_tool_calls }, asked)

  const talk = [
    ...messages,
    message,
    { role: 'tool', tool_call_id: 'call_1', content: 'Rain.' },
    { role: 'tool', tool_call_id: 'call_2', content: 'Sun.' },
  ]
  await client.chat.completions.create({ model: 'echo', messages: talk, tools: [weather] })
  assert.deepEqual((await lastBody('echo')).messages, JSON.parse(JSON.stringify(talk)))
})

test('tools, streamed: the deltas add up', bounded, async () => {
  const runner = client.chat.completions.stream({ model: 'tools', messages: user('The weather?'), tools: [weather] })
  const calls = []
  for await (const chunk of runner) {
    for (const { index, id, function: f } of chunk.choices[0]?.delta.tool_calls ?? []) {
      calls[index] ??= { id, name: f.name, arguments: '' }
      calls[index].arguments += f.arguments
    }
  }
  assert.deepEqual(calls, [
    { id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' },
    { id: 'call_2', name: 'weather', arguments: '{"city":"Rome"}' },
  ])
  const final = await runner.finalChatCompletion()
  assert.equal(final.choices[0].finish_reason, 'tool_calls')
  assert.deepEqual((await lastBody('tools')).tools, [weather])
})

test("the client's own tool runner: call, run, answer", bounded, async () => {
  const cities = []
  const runner = client.chat.completions.runTools(
    {
      model: 'tools',
      messages: user('The weather in Oslo and Rome?'),
      tools: [{ type: 'function', function: { ...weather.function, parse: JSON.parse, function: ({ city }) => (cities.push(city), `Fine in ${city}.`) } }],
    },
    { maxChatCompletions: 2 },
  )
  await runner.done() // though the model never has enough
  assert.deepEqual(cities.slice(0, 2), ['Oslo', 'Rome'])
  const { messages } = await lastBody('tools')
  assert.deepEqual(messages.map(m => m.role), ['user', 'assistant', 'tool', 'tool'])
  assert.deepEqual(messages.slice(2).map(m => m.content), ['Fine in Oslo.', 'Fine in Rome.'])
})

test('a response format', bounded, async () => {
  const format = {
    type: 'json_schema',
    json_schema: { name: 'place', strict: true, schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } },
  }
  const answer = await client.chat.completions.parse({ model: 'city', messages: user('Where?'), response_format: format })
  assert.deepEqual(answer.choices[0].message.parsed, { city: 'Oslo' })
  assert.deepEqual((await lastBody('city')).response_format, format)
})

test('the list of models', bounded, async () => {
  const ids = []
  for await (const model of client.models.list()) {
    assert.equal(model.object, 'model')
    ids.push(model.id)
  }
  assert.ok(ids.includes('hello') && ids.includes('echo'), ids.join())
  assert.equal((await client.models.retrieve('hello')).id, 'hello')
  await assert.rejects(client.models.retrieve('nobody/knows'), OpenAI.NotFoundError)
})

test('a wrong key', bounded, async () => {
  const stranger = client.withOptions({ apiKey: 'az_wrong' })
  for (const stream of [false, true]) {
    await assert.rejects(stranger.chat.completions.create({ model: 'hello', messages: user('Hi.'), stream }), err => {
      assert.ok(err instanceof OpenAI.PermissionDeniedError, err)
      assert.equal(err.status, 403)
      assert.equal(err.code, 'auth_failed')
      assert.ok(err.requestID)
      return true
    })
  }
})

test('an unknown model', bounded, async () => {
  for (const stream of [false, true]) {
    await assert.rejects(client.chat.completions.create({ model: 'nobody', messages: user('Hi.'), stream }), err => {
      assert.ok(err instanceof OpenAI.NotFoundError, err)
      assert.equal(err.status, 404)
      assert.match(err.message, /nobody/)
      return true
    })
  }
})

test('a bad request', bounded, async () => {
  await assert.rejects(client.chat.completions.create({ model: 'hello', messages: [] }), err => {
    assert.ok(err instanceof OpenAI.BadRequestError, err)
    assert.equal(err.code, 'bad_request')
    assert.equal(err.param, 'messages')
    return true
  })
})

test("an upstream's early 429 with its Retry-After", bounded, async () => {
  for (const stream of [false, true]) {
    await assert.rejects(client.chat.completions.create({ model: 'limited', messages: user('Hi.'), stream }), err => {
      assert.ok(err instanceof OpenAI.RateLimitError, err)
      assert.equal(err.headers.get('retry-after'), '60')
      assert.match(err.message, /Slow down\./)
      return true
    })
  }
})

test('an upstream that dies in mid-answer', bounded, async () => {
  const stream = await client.chat.completions.create({ model: 'dies', messages: user('Hi.'), stream: true })
  let text = ''
  await assert.rejects(
    async () => {
      for await (const chunk of stream) text += chunk.choices[0].delta.content
    },
    err => {
      assert.ok(err instanceof OpenAI.APIError, err)
      assert.equal(err.code, 'agent_execution_failed')
      return true
    },
  )
  assert.equal(text, '1 2 ')
})

test('an abort in mid-stream', bounded, async () => {
  const stream = await client.chat.completions.create({ model: 'endless', messages: user('Hi.'), stream: true })
  let chunks = 0
  for await (const _ of stream) if (++chunks === 3) break // which aborts
  await hangup('endless')
})

test('an abort before the first byte', bounded, async () => {
  const stop = new AbortController()
  const answer = client.chat.completions.create({ model: 'silent', messages: user('Hi.') }, { signal: stop.signal })
  const ended = assert.rejects(answer, OpenAI.APIUserAbortError)
  await arrival('silent')
  stop.abort()
  await ended
  await hangup('silent')
})

test('a session that remembers', bounded, async () => {
  const session = client.withOptions({ defaultHeaders: { 'X-Session-Id': 'npm-openai' } })
  for (const content of ['My name is Ada.', 'What is my name?']) {
    const { response } = await session.chat.completions.create({ model: 'echo', messages: user(content) }).withResponse()
    assert.equal(response.headers.get('x-session-id'), 'npm-openai')
  }
  assert.deepEqual((await lastBody('echo')).messages, [
    { role: 'user', content: 'My name is Ada.' },
    { role: 'assistant', content: 'My name is Ada.' },
    { role: 'user', content: 'What is my name?' },
  ])
})

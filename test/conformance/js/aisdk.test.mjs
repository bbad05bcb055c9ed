// The Vercel AI SDK through its provider for OpenAI-compatible servers.
import assert from 'node:assert/strict'
import test from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai'
import { baseURL, bounded, hangup, lastBody, token } from './gateway.mjs'

const settings = { name: 'agentzero', baseURL, apiKey: token, includeUsage: true }
const model = createOpenAICompatible(settings)
const city = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false })
const prompt = 'Hi.'

/** For what goes wrong in a stream, which the SDK would print. */
const onError = () => {}

test('generateText', bounded, async () => {
  const { text, finishReason, usage, response } = await generateText({ model: model('hello'), prompt, maxRetries: 0 })
  assert.equal(text, 'Hello there')
  assert.equal(finishReason, 'stop')
  assert.equal(usage.inputTokens, 1)
  assert.equal(usage.outputTokens, 3)
  assert.equal(response.modelId, 'hello')
})

test('streamText', bounded, async () => {
  const result = streamText({ model: model('hello'), prompt, maxRetries: 0 })
  const deltas = []
  for await (const delta of result.textStream) deltas.push(delta)
  assert.equal(deltas.join(''), 'Hello there')
  assert.equal(await result.finishReason, 'stop')
  assert.equal((await result.usage).outputTokens, 3)
})

test('streamText with tools: called, run, answered', bounded, async () => {
  const cities = []
  const result = streamText({
    model: model('tools'),
    prompt: 'The weather in Oslo and Rome?',
    maxRetries: 0,
    tools: {
      weather: tool({
        description: 'The weather of a city.',
        inputSchema: city,
        execute: ({ city }) => (cities.push(city), `Fine in ${city}.`),
      }),
    },
    stopWhen: isStepCount(2),
    // With the tools' results another model goes on, one that can end.
    prepareStep: ({ stepNumber }) => (stepNumber > 0 ? { model: model('echo') } : {}),
  })
  const parts = []
  for await (const part of result.fullStream) parts.push(part)
  assert.ok(!parts.some(p => p.type === 'error'), JSON.stringify(parts))
  assert.deepEqual(cities, ['Oslo', 'Rome'])
  assert.equal(await result.text, 'The weather in Oslo and Rome?')
  const steps = await result.steps
  assert.deepEqual(steps.map(s => s.finishReason), ['tool-calls', 'stop'])

  const { tools } = await lastBody('tools')
  assert.equal(tools[0].function.name, 'weather')
  assert.deepEqual(tools[0].function.parameters.required, ['city'])
  const { messages } = await lastBody('echo')
  assert.deepEqual(messages.map(m => m.role), ['user', 'assistant', 'tool', 'tool'])
  assert.deepEqual(messages[1].tool_calls.map(c => c.id), ['call_1', 'call_2'])
  assert.deepEqual(messages.slice(2).map(m => [m.tool_call_id, m.content]), [
    ['call_1', 'Fine in Oslo.'],
    ['call_2', 'Fine in Rome.'],
  ])
})

test('streamText of a model that thinks', bounded, async () => {
  const result = streamText({ model: model('thinks'), prompt, maxRetries: 0 })
  assert.equal(await result.text, '42')
  assert.equal(await result.reasoningText, 'Six by seven.')
})

test('streamText, aborted', bounded, async () => {
  const stop = new AbortController()
  const result = streamText({ model: model('endless'), prompt, maxRetries: 0, abortSignal: stop.signal })
  let text = ''
  let aborted = false
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') text += part.text
    if (part.type === 'abort') aborted = true
    if (text === '1 2 3 ') stop.abort()
  }
  assert.ok(aborted)
  await hangup('endless')
})

test('a wrong key', bounded, async () => {
  const stranger = createOpenAICompatible({ ...settings, apiKey: 'az_wrong' })
  await assert.rejects(generateText({ model: stranger('hello'), prompt, maxRetries: 0 }), err => {
    assert.ok(APICallError.isInstance(err), err)
    assert.equal(err.statusCode, 403)
    assert.equal(err.isRetryable, false)
    assert.equal(err.data.error.code, 'auth_failed')
    return true
  })
})

test("an upstream's early 429", bounded, async () => {
  await assert.rejects(generateText({ model: model('limited'), prompt, maxRetries: 0 }), err => {
    assert.equal(err.statusCode, 429)
    assert.equal(err.isRetryable, true)
    assert.equal(err.responseHeaders['retry-after'], '60')
    return true
  })
})

test('an upstream that dies in mid-answer', bounded, async () => {
  const result = streamText({ model: model('dies'), prompt, maxRetries: 0, onError })
  const parts = []
  for await (const part of result.fullStream) parts.push(part)
  assert.equal(parts.filter(p => p.type === 'text-delta').map(p => p.text).join(''), '1 2 ')
  assert.ok(parts.some(p => p.type === 'error'), JSON.stringify(parts))
})

// What the tests here know of the gateway and of the model server behind it,
// whose models main_test.go names for what they do.

export const url = process.env.GATEWAY_URL
export const baseURL = `${url}/v1`
export const token = process.env.GATEWAY_TOKEN

/** The bound of each test: a safety net, not a measure. */
export const bounded = { timeout: 20_000 }

/** The texts of the model "counts". */
export const count = n => Array.from({ length: n }, (_, i) => `${i + 1} `).join('')

async function ask(question, model) {
  const answer = await fetch(`${process.env.UPSTREAM_CONTROL}/${question}?model=${model}`)
  if (!answer.ok) throw new Error(`${question} of ${model}: ${await answer.text()}`)
  return answer.json()
}

/** What the model server was asked for a model: the last call's body. */
export const lastBody = async model => (await ask('requests', model)).at(-1).body

/** Returns once the model server was asked for a model. */
export const arrival = model => ask('arrival', model)

/** Returns once the gateway has hung up on the last call of a model. */
export const hangup = model => ask('hangup', model)

/** Calls an endpoint of the gateway that has no client of its own. */
export async function call(method, path, body) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

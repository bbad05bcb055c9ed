// One conversation, kept in step with the gateway: what is stored, what runs and
// waits, and then each event in its order. Any number of tabs and devices that
// follow the same session see the same.
import { api, Failure, newID } from './api.js';
import { follow } from './follow.js';

// A turn is { key, id, said: [{ role, text }], answer, thinking, tools, state,
// position, error, model, usage, at }. Its states: sending, queued, running, done,
// interrupted, failed.

export class Conversation {
  // changed is called after each change; more than once in a frame is drawn once.
  constructor(id, { owner = '', changed }) {
    this.id = id;
    this.turns = [];
    this.state = 'loading'; // loading, live, waiting, gone, failed
    this.failure = null;
    this.changed = changed;
    this.query = owner ? `?owner=${encodeURIComponent(owner)}` : '';
    this.path = `/v1/sessions/${encodeURIComponent(id)}`;
    this.stop = () => {};
    this.closed = false;
    this.opened = new Promise((resolve) => { this.isOpen = resolve; });
  }

  // open reads what there is and follows what comes.
  async open() {
    this.stop();
    let pause = 300;
    while (!this.closed) {
      try {
        const list = await api('GET', `${this.path}/messages${this.query}`);
        if (this.closed) return;
        this.take(list);
        this.isOpen();
        this.stop = follow(`${this.path}/events${this.query}`, {
          after: list.last_event_id,
          onEvent: (e) => this.hear(e),
          onState: (state, failure) => this.tuned(state, failure),
        });
        return;
      } catch (e) {
        this.failure = e;
        this.state = e.code === 'not_found' ? 'gone' : e.code === 'network' || e.status >= 500 || e.code === 'rate_limited' ? 'waiting' : 'failed';
        this.changed();
        if (this.state !== 'waiting') return;
        await new Promise((r) => setTimeout(r, pause));
        pause = Math.min(2 * pause, 5000);
      }
    }
  }

  close() {
    this.closed = true;
    this.stop();
  }

  // take makes the turns anew of what the gateway has. What this page alone knows
  // of is kept: messages on their way, and turns that failed.
  take(list) {
    const old = this.turns;
    const turns = [];
    for (const item of list.data) {
      let turn = turns.at(-1);
      if (turn?.id !== item.turn_id) {
        turn = fresh(item.turn_id, states[item.status] || 'done', item.created);
        turns.push(turn);
      }
      if (item.interrupted) turn.state = 'interrupted';
      turn.said.push({ role: item.role, text: item.content, raw: item.message });
    }
    for (const turn of turns) {
      if (turn.said.at(-1)?.role !== 'assistant') continue;
      const answer = turn.said.pop();
      turn.answer = answer.text;
      extras(turn, answer.raw);
    }
    const known = new Set(turns.map((t) => t.id));
    for (const turn of turns) {
      const before = old.find((t) => t.id === turn.id);
      if (!before) continue;
      turn.key = before.key;
      turn.model ||= before.model;
      turn.usage ||= before.usage;
      turn.thinking ||= before.thinking;
    }
    for (const turn of old) {
      if (known.has(turn.id) || (over(turn) && turn.state !== 'failed')) continue;
      if (turn.id && !over(turn)) { // it has ended meanwhile, and left nothing
        turn.state = 'failed';
        turn.error = new Failure({ code: 'no_trace', message: '' });
      }
      turns.push(turn);
    }
    this.turns = turns;
    this.state = 'live';
    this.failure = null;
    this.changed();
  }

  tuned(state, failure) {
    if (state === 'ended') {
      this.failure = failure;
      if (failure.code === 'gap') {
        this.open();
        return;
      }
      this.state = failure.code === 'not_found' ? 'gone' : 'failed';
    } else {
      this.state = state;
    }
    this.changed();
  }

  // hear takes an event of the session.
  hear({ event, data }) {
    if (event === 'gap') {
      this.open();
      return;
    }
    if (!data.turn_id) return;
    const turn = this.find(data.turn_id);
    if (over(turn) && event !== 'turn.failed') {
      turn.model ||= data.model;
      turn.usage ||= data.usage;
      return; // the answer is whole already
    }
    switch (event) {
      case 'turn.queued':
        turn.state = 'queued';
        turn.position = data.position;
        break;
      case 'turn.started':
        turn.state = 'running';
        break;
      case 'delta':
        turn.state = 'running';
        turn.answer += data.delta;
        if (data.chunk) extras(turn, data.chunk.choices?.[0]?.delta);
        break;
      case 'turn.completed':
        turn.state = 'done';
        turn.model = data.model;
        turn.usage = data.usage;
        break;
      case 'turn.interrupted':
        turn.state = 'interrupted';
        turn.reason = data.reason;
        break;
      case 'turn.failed':
        turn.state = 'failed';
        turn.error = new Failure(data.error);
        break;
      case 'turn.merged':
        this.turns = this.turns.filter((t) => t !== turn);
        this.learn();
        break;
    }
    this.changed();
  }

  // find is the turn of an id. One that nobody here has sent is asked about.
  find(id) {
    let turn = this.turns.find((t) => t.id === id);
    if (turn) return turn;
    turn = fresh(id, 'running', Date.now() / 1000);
    this.turns.push(turn);
    this.learn();
    return turn;
  }

  // learn asks, soon, for the words of turns that other clients have sent.
  learn() {
    if (this.learning) return;
    this.learning = setTimeout(async () => {
      this.learning = 0;
      const strange = () => this.turns.filter((t) => t.id && t.said.length === 0);
      if (this.closed || strange().length === 0) return;
      const list = await api('GET', `${this.path}/messages${this.query}`).catch(() => null);
      if (!list) return;
      for (const turn of strange()) {
        turn.said = list.data.filter((i) => i.turn_id === turn.id && i.role !== 'assistant').map((i) => ({ role: i.role, text: i.content }));
      }
      this.changed();
    }, 100);
  }

  // send puts a message to the session. On a lost network it is sent again, with
  // the same key, so that it arrives once.
  async send(text, { model } = {}) {
    const turn = fresh('', 'sending', Date.now() / 1000);
    turn.said = [{ role: 'user', text }];
    this.turns.push(turn);
    this.changed();
    const key = newID('web-');
    await this.opened; // so that no event of the turn is missed
    for (let pause = 300; !this.closed; pause = Math.min(2 * pause, 5000)) {
      try {
        const body = { content: text };
        if (model) body.model = model;
        const { turn_id } = await api('POST', `${this.path}/messages${this.query}`, body, { 'Idempotency-Key': key });
        this.sent(turn, turn_id);
        return;
      } catch (e) {
        if (e.code !== 'network') {
          turn.state = 'failed';
          turn.error = e;
          this.changed();
          return;
        }
        turn.error = e;
        this.changed();
        await new Promise((r) => setTimeout(r, pause));
      }
    }
  }

  // sent joins a message to the turn it has become, of which events may have come
  // already.
  sent(turn, id) {
    const heard = this.turns.find((t) => t.id === id);
    if (heard) {
      heard.said = turn.said;
      heard.key = turn.key;
      this.turns = this.turns.filter((t) => t !== turn);
    } else {
      turn.id = id;
      turn.error = null;
      turn.state = 'queued';
    }
    this.changed();
  }

  async cancel(turn) {
    await api('POST', `${this.path}/cancel${this.query}`, turn ? { turn_id: turn.id } : {}).catch((e) => {
      if (e.code !== 'not_found') throw e; // it has ended meanwhile
    });
  }

  forget(turn) {
    this.turns = this.turns.filter((t) => t !== turn);
    this.changed();
  }

  get running() { return this.turns.find((t) => t.state === 'running') || this.turns.find((t) => t.state === 'queued'); }
}

let keys = 0;

function fresh(id, state, at) {
  return { key: ++keys, id, said: [], answer: '', thinking: '', tools: [], state, at, model: '', usage: null, error: null };
}

const states = { completed: 'done', interrupted: 'interrupted', in_progress: 'running', queued: 'queued' };

const over = (turn) => turn.state === 'done' || turn.state === 'interrupted' || turn.state === 'failed';

// extras takes what an answer, or a piece of one, holds besides its text.
function extras(turn, part) {
  if (!part || typeof part !== 'object') return;
  const thought = part.reasoning_content ?? part.reasoning;
  if (typeof thought === 'string') turn.thinking += thought;
  for (const call of Array.isArray(part.tool_calls) ? part.tool_calls : []) {
    const at = call.index ?? turn.tools.length;
    const tool = turn.tools[at] ||= { name: '', arguments: '' };
    tool.name += call.function?.name ?? '';
    tool.arguments += call.function?.arguments ?? '';
  }
  if (typeof part.refusal === 'string') turn.answer += part.refusal;
}

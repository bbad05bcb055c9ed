// How the gateway does: one stream of its samples, which all views share while one
// of them is shown.
import { follow } from './follow.js';
import { store, useEffect, useStore } from './ui.js';

// gateway is { samples, kept, state, failure }; the samples are the oldest first.
export const gateway = store({ samples: [], kept: 900, state: 'loading', failure: null });

let users = 0;
let stop = null;

// useGateway is the gateway's samples, followed while the view is shown.
export function useGateway() {
  useEffect(() => {
    if (users++ === 0) start();
    return () => {
      if (--users === 0) {
        stop();
        stop = null;
      }
    };
  }, []);
  return useStore(gateway);
}

function start() {
  const last = gateway.get().samples.at(-1)?.at;
  stop = follow('/v1/events', {
    after: last ? String(last) : '',
    onEvent({ event, data }) {
      const old = gateway.get();
      if (event === 'history') gateway.set({ ...old, kept: data.kept, samples: join(old.samples, data.samples, data.kept) });
      else if (event === 'sample') gateway.set({ ...old, samples: join(old.samples, [data], old.kept) });
    },
    onState(state, failure) { gateway.set((g) => ({ ...g, state, failure: failure || null })); },
  });
}

// join adds newer samples. A gateway that was restarted counts anew; where it was
// away there is a gap in time, which the plots pass over.
function join(old, fresh, kept) {
  const last = old.at(-1)?.at || 0;
  return [...old, ...fresh.filter((s) => s.at > last)].slice(-kept);
}

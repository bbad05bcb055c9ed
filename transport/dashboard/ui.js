// What all views are made with: elements in template strings, and stores.
import { h, render, Fragment } from './vendor/preact.js';
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from './vendor/hooks.js';
import htm from './vendor/htm.js';

export const html = htm.bind(h);
export { h, render, Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState };

// store holds a value that views follow.
export function store(value) {
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = typeof next === 'function' ? next(value) : next;
      for (const f of [...followers]) f();
    },
    follow(f) {
      followers.add(f);
      return () => followers.delete(f);
    },
  };
}

// useStore is the store's value, and draws the view anew when it changes.
export function useStore(s) {
  const [, draw] = useReducer((n) => n + 1, 0);
  const seen = s.get();
  useLayoutEffect(() => {
    if (s.get() !== seen) draw();
    return s.follow(draw);
  }, [s]);
  return seen;
}

// useLoad asks for something when it is first shown, when what it depends on
// changes, and on again(). It answers { data, error, again }.
export function useLoad(ask, depends) {
  const [state, set] = useState({});
  const latest = useRef(0);
  const again = () => {
    const mine = ++latest.current;
    return ask().then(
      (data) => mine === latest.current && set({ data }),
      (error) => mine === latest.current && set((old) => ({ ...old, error })),
    );
  };
  useEffect(() => {
    again();
    return () => { latest.current++; };
  }, depends);
  return { ...state, again };
}

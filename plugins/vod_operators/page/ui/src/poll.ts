import { useCallback, useEffect, useRef, useState } from "react";

export interface Polled<T> {
  data: T | null;
  /** Of the newest try; `data` stays that of the last success. */
  error: Error | null;
  reload: () => void;
}

/** The newest answers, so that going back to a page, or Airflow mounting it anew, shows no spinner. */
const answers = new Map<string, unknown>();
const MOST_ANSWERS = 50;

function remember(key: string, data: unknown): void {
  answers.delete(key);
  answers.set(key, data);
  if (answers.size > MOST_ANSWERS) answers.delete(answers.keys().next().value!);
}

const remembered = <T>(key: string): T | null => (answers.get(key) as T | undefined) ?? null;

/**
 * What `read` answers, asked again every `interval(data)` seconds, but not while the page is hidden.
 *
 * `key` names what is read, in the whole page. When it changes, the old answer stays until the new one is there,
 * unless `forget`.
 */
export function usePoll<T>(
  key: string,
  read: (signal: AbortSignal) => Promise<T>,
  interval: (data: T | null) => number,
  forget = true,
): Polled<T> {
  const [answer, setAnswer] = useState<{ key: string; data: T | null; error: Error | null }>(() => ({
    key,
    data: remembered<T>(key),
    error: null,
  }));
  const [turn, setTurn] = useState(0);
  const latest = useRef({ read, interval });
  latest.current = { read, interval };

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;

    const ask = async (): Promise<void> => {
      let data: T | null = null;
      try {
        const answered = await latest.current.read(abort.signal);
        if (ended) return;
        data = answered;
        remember(key, answered);
        setAnswer({ key, data: answered, error: null });
      } catch (error) {
        if (ended) return;
        setAnswer((old) => ({ key, data: old.key === key || !forget ? old.data : null, error: error as Error }));
      }
      timer = setTimeout(next, latest.current.interval(data) * 1000);
    };
    const next = (): void => {
      if (document.hidden) timer = setTimeout(next, 1000);
      else void ask();
    };
    void ask();
    return () => {
      ended = true;
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn, forget]);

  const reload = useCallback(() => setTurn((old) => old + 1), []);
  const stale = forget && answer.key !== key;
  return { data: stale ? remembered<T>(key) : answer.data, error: stale ? null : answer.error, reload };
}

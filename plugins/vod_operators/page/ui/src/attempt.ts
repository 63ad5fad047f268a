import { useCallback, useState } from "react";

export interface Attempt {
  busy: boolean;
  /** Why the newest try failed; null while it is at work, and after a success. */
  error: string | null;
  /** Tries something that may fail; whether it succeeded. */
  run: (act: () => Promise<unknown>) => Promise<boolean>;
  /** Forgets the newest try. */
  reset: () => void;
}

/** What the button of an action shows: that it is at work, or why it failed. */
export function useAttempt(): Attempt {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const reset = useCallback(() => {
    setBusy(false);
    setError(null);
  }, []);
  const run = useCallback(async (act: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await act();
      return true;
    } catch (reason) {
      setError((reason as Error).message);
      return false;
    } finally {
      setBusy(false);
    }
  }, []);
  return { busy, error, run, reset };
}

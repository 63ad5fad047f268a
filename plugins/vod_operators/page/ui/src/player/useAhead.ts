import { useEffect, useState } from "react";

/**
 * A value for a slider, and a way to move it before the player follows.
 *
 * React puts a slider back to its value after each change, which the browser then reports as another change.
 */
export function useAhead(value: number): [shown: number, move: (to: number) => void] {
  const [ahead, setAhead] = useState<number | null>(null);
  useEffect(() => setAhead(null), [value]);
  return [ahead ?? value, setAhead];
}

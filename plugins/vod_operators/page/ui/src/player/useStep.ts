import { type RefObject, useEffect } from "react";

/** Half a frame at 25 a second: what is nearer shows the same picture. */
const NEAR_S = 0.02;
/** What is farther is not caught up by speed in a second or two, but sought. */
const FAR_S = 0.3;

/** Keep `follower` at the time, the speed and the state of `leader`. */
export function useStep(
  leader: RefObject<HTMLVideoElement | null>,
  follower: RefObject<HTMLVideoElement | null>,
): void {
  useEffect(() => {
    const first = leader.current;
    const second = follower.current;
    if (first === null || second === null) return undefined;

    const align = (): void => {
      // Versions may differ in length by a frame.
      const target = Math.min(first.currentTime, second.duration || 0);
      const ahead = second.currentTime - target;
      const running = !first.paused && !first.ended;
      if (running && second.paused) void second.play().catch(() => undefined);
      else if (!running && !second.paused) second.pause();
      if (Math.abs(ahead) > (running ? FAR_S : NEAR_S)) {
        second.playbackRate = first.playbackRate;
        if (!second.seeking) second.currentTime = target;
      } else if (running && Math.abs(ahead) > NEAR_S) {
        second.playbackRate = first.playbackRate * (ahead > 0 ? 0.94 : 1.06);
      } else {
        second.playbackRate = first.playbackRate;
      }
    };
    const events = ["play", "pause", "seeking", "seeked", "timeupdate", "ratechange", "ended", "loadeddata"] as const;
    for (const event of events) first.addEventListener(event, align);
    second.addEventListener("loadeddata", align);
    second.addEventListener("seeked", align);
    return () => {
      for (const event of events) first.removeEventListener(event, align);
      second.removeEventListener("loadeddata", align);
      second.removeEventListener("seeked", align);
    };
  }, [leader, follower]);
}

import { type RefObject, useEffect, useState } from "react";

export interface MediaState {
  at: number;
  duration: number;
  /** The end of what is buffered from here on. */
  buffered: number;
  paused: boolean;
  muted: boolean;
  volume: number;
  rate: number;
}

const EVENTS = [
  "timeupdate",
  "seeking",
  "seeked",
  "durationchange",
  "progress",
  "play",
  "pause",
  "ended",
  "volumechange",
  "ratechange",
  "emptied",
] as const;

function read(video: HTMLVideoElement): MediaState {
  let buffered = 0;
  for (let range = 0; range < video.buffered.length; range += 1) {
    if (video.buffered.start(range) <= video.currentTime + 0.1) buffered = video.buffered.end(range);
  }
  return {
    at: video.currentTime,
    duration: Number.isFinite(video.duration) ? video.duration : 0,
    buffered,
    paused: video.paused,
    muted: video.muted,
    volume: video.volume,
    rate: video.playbackRate,
  };
}

const START: MediaState = { at: 0, duration: 0, buffered: 0, paused: true, muted: false, volume: 1, rate: 1 };

/** What a video element does, followed by its events. */
export function useMedia(video: RefObject<HTMLVideoElement | null>): MediaState {
  const [state, setState] = useState(START);
  useEffect(() => {
    const element = video.current;
    if (element === null) return undefined;
    const update = (): void => setState(read(element));
    update();
    for (const event of EVENTS) element.addEventListener(event, update);
    return () => {
      for (const event of EVENTS) element.removeEventListener(event, update);
    };
  }, [video]);
  return state;
}

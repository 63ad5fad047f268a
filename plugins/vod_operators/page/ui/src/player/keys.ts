import type { KeyboardEvent } from "react";

import { togglePlay } from "./Controls";

export const KEYS_HELP =
  "Keys: space plays, ← → 5 s, J L 10 s, comma and dot one frame, 0–9 tenths, ↑ ↓ volume, M mute, C subtitles, F full screen";

interface Player {
  video: HTMLVideoElement;
  frame_s: number;
  toggleFullscreen: () => void;
  toggleSubtitles?: () => void;
}

/** Do what a key says; true if it said something. */
function press(key: string, { video, frame_s, toggleFullscreen, toggleSubtitles }: Player): boolean {
  const seek = (to: number): void => {
    video.currentTime = Math.min(Math.max(to, 0), video.duration || 0);
  };
  const step = (frames: number): void => {
    video.pause();
    // To the middle of the frame, so that rounding cannot fall into its neighbour.
    seek((Math.floor(video.currentTime / frame_s + 1e-3) + frames + 0.5) * frame_s);
  };
  const actions: Record<string, () => void> = {
    " ": () => togglePlay(video),
    k: () => togglePlay(video),
    ArrowLeft: () => seek(video.currentTime - 5),
    ArrowRight: () => seek(video.currentTime + 5),
    j: () => seek(video.currentTime - 10),
    l: () => seek(video.currentTime + 10),
    ",": () => step(-1),
    ".": () => step(1),
    Home: () => seek(0),
    End: () => seek(video.duration),
    ArrowUp: () => (video.volume = Math.min(1, video.volume + 0.1)),
    ArrowDown: () => (video.volume = Math.max(0, video.volume - 0.1)),
    m: () => (video.muted = !video.muted),
    f: toggleFullscreen,
    ...(toggleSubtitles ? { c: toggleSubtitles } : {}),
  };
  const action = /^\d$/.test(key) ? () => seek((video.duration * Number(key)) / 10) : actions[key];
  action?.();
  return action !== undefined;
}

/** A handler for the box around a player. */
export const onKeys =
  (player: () => Player | null) =>
  (event: KeyboardEvent<HTMLElement>): void => {
    const target = event.target as HTMLElement;
    // Selects and the volume have keys of their own; on a button, space and Enter press it.
    if (event.ctrlKey || event.metaKey || event.altKey || "ownKeys" in target.dataset) return;
    if (target.tagName === "BUTTON" && event.key === " ") return;
    const found = player();
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (found && press(key, found)) event.preventDefault();
  };

import type Hls from "hls.js";
import type { ErrorData, Level, MediaPlaylist } from "hls.js";
import { type RefObject, useEffect, useRef, useState } from "react";

import { bitrate } from "../format";

export interface Choice {
  id: number;
  name: string;
}

/** One of the menus: what can be chosen, and what is. */
export interface Menu {
  choices: Choice[];
  chosen: number;
  choose: (id: number) => void;
}

export interface HlsState {
  levels: Menu;
  /** The level on screen, also while hls.js chooses it. */
  playing: string | null;
  sounds: Menu;
  subtitles: Menu;
  error: string | null;
}

interface Tracks {
  levels: Choice[];
  level: number;
  current: number;
  sounds: Choice[];
  sound: number;
  subtitles: Choice[];
  subtitle: number;
}

const NONE: Tracks = { levels: [], level: -1, current: -1, sounds: [], sound: -1, subtitles: [], subtitle: -1 };

/** "1080p-high · 4.20 Mb/s": the rendition, which is the folder of its playlist, and its peak. */
const levelName = (level: Level): string =>
  `${new URL(level.uri).pathname.split("/").at(-2) ?? ""} · ${bitrate(level.bitrate)}`;

const trackName = (track: MediaPlaylist): string =>
  track.lang && track.lang !== track.name ? `${track.name} (${track.lang})` : track.name;

const messageOf = (data: ErrorData): string => {
  const status = data.response?.code ? ` (status ${data.response.code})` : "";
  return `The video cannot be played: ${data.details}${status}.`;
};

/**
 * Plays the first of `sources` that can be read, by hls.js where the browser can, else by the browser itself.
 *
 * The tracks come from the playlist; where the browser plays it itself, its own menus have them.
 */
export function useHls(video: RefObject<HTMLVideoElement | null>, sources: string[]): HlsState {
  const player = useRef<Hls | null>(null);
  const [tracks, setTracks] = useState<Tracks>(NONE);
  const [error, setError] = useState<string | null>(null);
  const key = sources.join("\n");

  useEffect(() => {
    const element = video.current;
    if (element === null || !key) return undefined;
    let ended = false;
    setError(null);
    setTracks(NONE);

    const start = async (): Promise<void> => {
      const { default: HlsPlayer } = await import("hls.js");
      if (ended) return;
      const urls = key.split("\n");
      if (!HlsPlayer.isSupported()) {
        element.src = urls.at(-1)!;
        element.onerror = () => setError("This browser cannot play the video.");
        return;
      }
      const hls = new HlsPlayer({ maxBufferLength: 20 });
      player.current = hls;
      const { Events } = HlsPlayer;
      let at = 0;
      let mended = false;
      const update = (): void => {
        setTracks({
          levels: hls.levels.map((level, id) => ({ id, name: levelName(level) })),
          level: hls.autoLevelEnabled ? -1 : hls.manualLevel,
          current: hls.currentLevel,
          sounds: hls.audioTracks.map((track, id) => ({ id, name: trackName(track) })),
          sound: hls.audioTrack,
          subtitles: hls.subtitleTracks.map((track, id) => ({ id, name: trackName(track) })),
          subtitle: hls.subtitleTrack,
        });
      };
      for (const event of [
        Events.MANIFEST_PARSED,
        Events.LEVEL_SWITCHED,
        Events.LEVELS_UPDATED,
        Events.AUDIO_TRACKS_UPDATED,
        Events.AUDIO_TRACK_SWITCHED,
        Events.SUBTITLE_TRACKS_UPDATED,
        Events.SUBTITLE_TRACK_SWITCH,
      ] as const) {
        hls.on(event, update);
      }
      hls.on(Events.ERROR, (_event, data) => {
        if (!data.fatal) return;
        if (hls.levels.length === 0 && at + 1 < urls.length) {
          // An edge that this browser cannot reach, or that forbids it: the next place has the same bytes.
          at += 1;
          hls.loadSource(urls[at]!);
        } else if (data.type === HlsPlayer.ErrorTypes.MEDIA_ERROR && !mended) {
          mended = true;
          hls.recoverMediaError();
        } else {
          setError(messageOf(data));
          hls.stopLoad();
        }
      });
      hls.attachMedia(element);
      hls.loadSource(urls[0]!);
    };
    void start().catch(() => setError("The player could not be loaded."));

    return () => {
      ended = true;
      player.current?.destroy();
      player.current = null;
      element.onerror = null;
      element.removeAttribute("src");
    };
  }, [key, video]);

  const choose = (set: (hls: Hls) => void, change: Partial<Tracks>) => {
    if (player.current === null) return;
    set(player.current);
    setTracks((old) => ({ ...old, ...change }));
  };
  return {
    levels: {
      choices: tracks.levels,
      chosen: tracks.level,
      choose: (id) => choose((hls) => (hls.currentLevel = id), { level: id }),
    },
    playing: tracks.levels[tracks.current]?.name ?? null,
    sounds: {
      choices: tracks.sounds,
      chosen: tracks.sound,
      choose: (id) => choose((hls) => (hls.audioTrack = id), { sound: id }),
    },
    subtitles: {
      choices: tracks.subtitles,
      chosen: tracks.subtitle,
      choose: (id) => choose((hls) => (hls.subtitleTrack = id), { subtitle: id }),
    },
    error,
  };
}

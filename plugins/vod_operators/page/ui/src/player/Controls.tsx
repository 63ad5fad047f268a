import { chakra, Flex, HStack, IconButton, NativeSelect, Text } from "@chakra-ui/react";
import type { ReactNode, RefObject } from "react";

import { clock } from "../format";
import {
  CaptionsIcon,
  FullscreenIcon,
  LevelsIcon,
  MuteIcon,
  PauseIcon,
  PlayIcon,
  SoundIcon,
  SpeakerIcon,
  SpeedIcon,
} from "../parts/icons";
import type { Chapter } from "../types";
import { SeekBar } from "./SeekBar";
import type { Picture } from "./storyboard";
import { useAhead } from "./useAhead";
import type { HlsState, Menu } from "./useHls";
import type { MediaState } from "./useMedia";

const RATES = [0.25, 0.5, 1, 1.25, 1.5, 2];

interface Props {
  video: RefObject<HTMLVideoElement | null>;
  media: MediaState;
  /** Without it, the menus of tracks are left out. */
  hls?: HlsState;
  pictures: Picture[];
  chapters?: Chapter[];
  toggleFullscreen: () => void;
}

export const togglePlay = (video: HTMLVideoElement): void => {
  // The browser's word that playing is not allowed yet; the button still says so.
  if (video.paused) void video.play().catch(() => undefined);
  else video.pause();
};

export function Controls({ video, media, hls, pictures, chapters = [], toggleFullscreen }: Props) {
  const short = media.duration < 60;
  const [volume, setVolume] = useAhead(media.muted ? 0 : media.volume);
  const act = (change: (element: HTMLVideoElement) => void) => () => {
    if (video.current) change(video.current);
  };
  return (
    <Flex bg="bg.subtle" borderTopWidth="1px" direction="column" flexShrink={0} px={3} py={1.5}>
      <SeekBar
        chapters={chapters}
        media={media}
        pictures={pictures}
        seek={(to) => act((element) => (element.currentTime = to))()}
      />
      <Flex align="center" columnGap={3} rowGap={1} wrap="wrap">
        <HStack flex={{ base: "1 0 auto", md: "1" }} gap={1}>
          <IconButton aria-label={media.paused ? "Play" : "Pause"} onClick={act(togglePlay)} size="xs" variant="ghost">
            {media.paused ? <PlayIcon /> : <PauseIcon />}
          </IconButton>
          <IconButton
            aria-label={media.muted ? "Sound on" : "Mute"}
            onClick={act((element) => (element.muted = !element.muted))}
            size="xs"
            variant="ghost"
          >
            {media.muted ? <MuteIcon /> : <SoundIcon />}
          </IconButton>
          <chakra.input
            accentColor="brand.solid"
            aria-label="Volume"
            data-own-keys
            display={{ base: "none", md: "block" }}
            max={1}
            min={0}
            onChange={(event) =>
              act((element) => {
                const to = Number(event.target.value);
                setVolume(to);
                element.volume = to;
                element.muted = false;
              })()
            }
            step={0.05}
            type="range"
            value={volume}
            w={16}
          />
          <Text fontSize="xs" fontVariantNumeric="tabular-nums" ml={1} whiteSpace="nowrap">
            {clock(media.at, short)} / {clock(media.duration, short)}
          </Text>
        </HStack>
        {hls ? (
          <>
            <Select
              auto={hls.playing && hls.levels.chosen === -1 ? `Auto: ${hls.playing}` : "Auto"}
              icon={<LevelsIcon />}
              label="Quality"
              menu={hls.levels}
            />
            <Select icon={<SpeakerIcon />} label="Sound track" least={2} menu={hls.sounds} />
            <Select auto="No subtitles" icon={<CaptionsIcon />} label="Subtitles" menu={hls.subtitles} />
          </>
        ) : null}
        <Select
          icon={<SpeedIcon />}
          label="Speed"
          menu={{
            choices: RATES.map((rate) => ({ id: rate, name: `${rate}×` })),
            chosen: media.rate,
            choose: (rate) => act((element) => (element.playbackRate = rate))(),
          }}
        />
        <IconButton aria-label="Full screen" onClick={toggleFullscreen} size="xs" variant="ghost">
          <FullscreenIcon />
        </IconButton>
      </Flex>
    </Flex>
  );
}

/** A menu as the browser's own select: it works in full screen, on phones and with every screen reader. */
function Select({
  label,
  icon,
  menu,
  auto,
  least = 1,
}: {
  label: string;
  icon: ReactNode;
  menu: Menu;
  /** What -1 means; without it there is no such choice. */
  auto?: string;
  /** A menu with fewer choices is left out. */
  least?: number;
}) {
  if (menu.choices.length < least) return null;
  return (
    <HStack color="fg.muted" gap={1} title={label}>
      {icon}
      <NativeSelect.Root size="xs" variant="plain" w="auto">
        <NativeSelect.Field
          aria-label={label}
          color="fg"
          data-own-keys
          maxW={44}
          onChange={(event) => menu.choose(Number(event.target.value))}
          pl={1}
          value={menu.chosen}
        >
          {auto ? <option value={-1}>{auto}</option> : null}
          {menu.choices.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
    </HStack>
  );
}

import { Box, Flex, Text } from "@chakra-ui/react";
import { type RefObject, useRef } from "react";

import { Problem } from "../parts/Notice";
import { Controls, togglePlay } from "./Controls";
import type { Chapter } from "../types";
import { KEYS_HELP, onKeys } from "./keys";
import { useStoryboard } from "./storyboard";
import { useHls } from "./useHls";
import { useMedia } from "./useMedia";

interface Props {
  video: RefObject<HTMLVideoElement | null>;
  /** Addresses of the same playlist; the first that can be read is played. */
  sources: string[];
  poster: string | null;
  storyboard: string | null;
  chapters?: Chapter[];
  label: string;
  frame_s: number;
  /** Begin at once, as far as the browser lets. */
  autoPlay?: boolean;
}

export function Player({ video, sources, poster, storyboard, chapters = [], label, frame_s, autoPlay = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const hls = useHls(video, sources);
  const media = useMedia(video);
  const pictures = useStoryboard(storyboard);

  const toggleFullscreen = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void box.current?.requestFullscreen();
  };
  const toggleSubtitles = (): void => hls.subtitles.choose(hls.subtitles.chosen === -1 ? 0 : -1);

  return (
    <Box>
      <Flex
        aria-label={`Player of ${label}`}
        borderColor="border"
        borderRadius="md"
        borderWidth="1px"
        direction="column"
        onKeyDown={onKeys(() => video.current && { video: video.current, frame_s, toggleFullscreen, toggleSubtitles })}
        overflow="hidden"
        ref={box}
        role="group"
      >
        <Flex align="center" bg="#000" flex="1" justify="center" minH={0}>
          <video
            aria-label={label}
            autoPlay={autoPlay}
            onClick={() => video.current && togglePlay(video.current)}
            playsInline
            poster={poster ?? undefined}
            ref={video}
            style={{ aspectRatio: "16 / 9", maxHeight: "100%", objectFit: "contain", width: "100%" }}
            tabIndex={0}
          />
        </Flex>
        {hls.error ? <Problem error={new Error(hls.error)} /> : null}
        <Controls
          chapters={chapters}
          hls={hls}
          media={media}
          pictures={pictures}
          toggleFullscreen={toggleFullscreen}
          video={video}
        />
      </Flex>
      <Text color="fg.muted" display={{ base: "none", md: "block" }} fontSize="xs" mt={1.5}>
        {KEYS_HELP}
      </Text>
    </Box>
  );
}

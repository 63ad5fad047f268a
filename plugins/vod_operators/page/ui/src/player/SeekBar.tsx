import { Box, chakra, Text } from "@chakra-ui/react";
import { type PointerEvent, useState } from "react";

import { clock } from "../format";
import type { Chapter } from "../types";
import type { Picture } from "./storyboard";
import { useAhead } from "./useAhead";
import type { MediaState } from "./useMedia";

interface Props {
  media: MediaState;
  seek: (to: number) => void;
  pictures: Picture[];
  chapters: Chapter[];
}

/** A slider over the whole video, with a preview of where the pointer is. */
export function SeekBar({ media, seek, pictures, chapters }: Props) {
  const [hover, setHover] = useState<{ at: number; x: number; width: number } | null>(null);
  const [at, setAt] = useAhead(media.at);
  const duration = media.duration || 1;
  const short = media.duration < 60;
  const point = (event: PointerEvent<HTMLDivElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = Math.min(Math.max(event.clientX - box.left, 0), box.width);
    setHover({ at: (x / box.width) * media.duration, x, width: box.width });
  };
  return (
    <Box h={6} onPointerLeave={() => setHover(null)} onPointerMove={point} position="relative">
      <Box bg="bg.emphasized" borderRadius="full" h={1.5} inset={0} my="auto" overflow="hidden" position="absolute">
        <Box
          bg="fg.muted"
          h="full"
          opacity={0.4}
          position="absolute"
          style={{ width: `${(media.buffered / duration) * 100}%` }}
        />
        <Box bg="brand.solid" h="full" position="absolute" style={{ width: `${(at / duration) * 100}%` }} />
      </Box>
      {chapters
        .filter(({ start_s }) => start_s > 0)
        .map(({ start_s }) => (
          <Box
            bg="bg"
            data-chapter={start_s}
            h={2.5}
            inset={0}
            key={start_s}
            my="auto"
            pointerEvents="none"
            position="absolute"
            style={{ left: `${(start_s / duration) * 100}%` }}
            w="2px"
          />
        ))}
      <Box
        bg="brand.solid"
        borderRadius="full"
        boxSize={3.5}
        pointerEvents="none"
        position="absolute"
        style={{ left: `${(at / duration) * 100}%` }}
        top="50%"
        transform="translate(-50%, -50%)"
      />
      <chakra.input
        aria-label="Position"
        aria-valuetext={`${clock(at, short)} of ${clock(media.duration, short)}`}
        css={{
          appearance: "none",
          "&:focus-visible": { outline: "2px solid", outlineColor: "brand.focusRing", outlineOffset: "2px" },
          "&::-webkit-slider-thumb": { opacity: 0 },
          "&::-moz-range-thumb": { opacity: 0 },
          "&::-webkit-slider-runnable-track": { background: "transparent" },
        }}
        background="transparent"
        borderRadius="sm"
        cursor="pointer"
        h="full"
        inset={0}
        max={media.duration}
        min={0}
        onChange={(event) => {
          const to = Number(event.target.value);
          setAt(to);
          seek(to);
        }}
        position="absolute"
        step={0.01}
        type="range"
        value={at}
        w="full"
      />
      {hover && media.duration ? <Preview chapters={chapters} hover={hover} pictures={pictures} short={short} /> : null}
    </Box>
  );
}

function Preview({
  chapters,
  hover,
  pictures,
  short,
}: {
  chapters: Chapter[];
  hover: { at: number; x: number; width: number };
  pictures: Picture[];
  short: boolean;
}) {
  const picture = pictures.find(({ to_s }) => hover.at < to_s) ?? pictures.at(-1);
  const width = picture?.width ?? 56;
  const chapter = chapters.filter(({ start_s }) => start_s <= hover.at).at(-1);
  return (
    <Box
      bg="bg.panel"
      borderRadius="sm"
      borderWidth="1px"
      bottom="100%"
      data-preview={picture ? `${picture.x},${picture.y}` : ""}
      mb={1}
      overflow="hidden"
      pointerEvents="none"
      position="absolute"
      shadow="md"
      style={{ left: Math.min(Math.max(hover.x - width / 2, 0), Math.max(0, hover.width - width)), width: width + 2 }}
      zIndex="docked"
    >
      {picture ? (
        <Box
          style={{
            width: picture.width,
            height: picture.height,
            background: `url("${picture.sheet}") -${picture.x}px -${picture.y}px`,
          }}
        />
      ) : null}
      <Text fontSize="xs" fontVariantNumeric="tabular-nums" textAlign="center">
        {clock(hover.at, short)}
      </Text>
      {chapter?.title ? (
        <Text fontSize="xs" px={1} textAlign="center" truncate>
          {chapter.title}
        </Text>
      ) : null}
    </Box>
  );
}

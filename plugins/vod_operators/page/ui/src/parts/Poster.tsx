import { AspectRatio, Center, Image } from "@chakra-ui/react";
import { useState } from "react";

import { mediaAddress } from "../api";
import { FilmIcon } from "./icons";

/** The video's picture, or a sign where there is none; decoration, so it has no text. */
export function Poster({ videoId, poster }: { videoId: string; poster: string | null }) {
  const [broken, setBroken] = useState<string | null>(null);
  return (
    <AspectRatio bg="bg.emphasized" borderRadius="sm" flexShrink={0} overflow="hidden" ratio={16 / 9} w="full">
      {poster && broken !== poster ? (
        <Image
          alt=""
          loading="lazy"
          objectFit="contain"
          onError={() => setBroken(poster)}
          src={mediaAddress(videoId, poster)}
        />
      ) : (
        <Center color="fg.muted" fontSize="xl">
          <FilmIcon />
        </Center>
      )}
    </AspectRatio>
  );
}

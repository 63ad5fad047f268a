// Times that are shown anywhere on a video's page: pressing one shows that moment in the player.
import { Button } from "@chakra-ui/react";
import { createContext, type ReactNode, type RefObject, useContext } from "react";

import { clock } from "../format";

/** Shows a moment, in seconds, in the player of the page; null where there is none. */
export const ShowContext = createContext<((at: number) => void) | null>(null);

/** Stops the player at a moment, and brings it into view. */
export const showIn =
  (video: RefObject<HTMLVideoElement | null>) =>
  (at: number): void => {
    const element = video.current;
    if (element === null) return;
    element.pause();
    element.currentTime = at;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
  };

/** A time as a button, with what happens there for those who do not see what stands around it. */
export function Moment({ at, what, children }: { at: number; what: string; children?: ReactNode }) {
  const show = useContext(ShowContext);
  const text = children ?? clock(at, true);
  if (show === null) return <>{text}</>;
  return (
    <Button
      aria-label={`Show ${what} at ${clock(at, true)} in the player`}
      color="brand.fg"
      fontVariantNumeric="tabular-nums"
      fontWeight="normal"
      h="auto"
      minW={0}
      onClick={() => show(at)}
      px={0}
      py={0}
      size="xs"
      textDecoration="underline"
      textUnderlineOffset="2px"
      variant="ghost"
    >
      {text}
    </Button>
  );
}

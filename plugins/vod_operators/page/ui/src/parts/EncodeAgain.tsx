import { Button, CloseButton, Dialog, Portal } from "@chakra-ui/react";
import { useEffect, useState } from "react";

import { encode } from "../api";
import { useAttempt } from "../attempt";
import { useMe } from "../me";
import type { Video } from "../types";
import { Notice } from "./Notice";
import { PresetChoice } from "./PresetChoice";

interface Props {
  video: Video;
  open: boolean;
  close: () => void;
  started: () => void;
}

/** Asks for a preset, and has the same request encoded with it. */
export function EncodeAgain({ video, open, close, started }: Props) {
  const me = useMe();
  const [preset, setPreset] = useState(video.preset ?? me.presets[0]?.name ?? "");
  const { busy, error, run, reset } = useAttempt();
  useEffect(reset, [open, reset]);

  const act = async (): Promise<void> => {
    if (!(await run(() => encode({ ...video.request, video_id: video.video_id, preset })))) return;
    started();
    close();
  };

  return (
    <Dialog.Root
      lazyMount
      onOpenChange={(details) => details.open || busy || close()}
      open={open}
      scrollBehavior="inside"
      size="lg"
      unmountOnExit
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner>
          <Dialog.Content mx={4}>
            <Dialog.Header>
              <Dialog.Title>Encode again</Dialog.Title>
            </Dialog.Header>
            <Dialog.Body display="flex" flexDirection="column" gap={4}>
              <div>
                The same source is encoded as a new version. Players keep the current one until the new one has been
                verified.
              </div>
              <PresetChoice label="Preset" onChange={setPreset} presets={me.presets} value={preset} />
              {error ? <Notice title={error} tone="error" /> : null}
            </Dialog.Body>
            <Dialog.Footer>
              <Button disabled={busy} onClick={close} variant="outline">
                Keep as it is
              </Button>
              <Button loading={busy} onClick={() => void act()}>
                Encode
              </Button>
            </Dialog.Footer>
            <Dialog.CloseTrigger asChild>
              <CloseButton aria-label="Close" size="sm" />
            </Dialog.CloseTrigger>
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}

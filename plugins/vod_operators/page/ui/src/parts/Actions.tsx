// What can be done with a video, for those whom Airflow lets.
import { Button, HStack, IconButton, Menu, Portal } from "@chakra-ui/react";
import { useState } from "react";

import { cancel, MANAGE, manage, type ManageAction, resume } from "../api";
import { useAttempt } from "../attempt";
import type { Version, Video } from "../types";
import { Confirm, type Question } from "./Confirm";
import { EncodeAgain } from "./EncodeAgain";
import type { Errand } from "./Follow";
import { MoreIcon } from "./icons";
import { Notice } from "./Notice";

const NOUNS: Record<ManageAction, string> = {
  verify: "Verification",
  repair: "Repair",
  rollback: "Roll back",
  delete: "Deletion",
};

interface Props {
  video: Video;
  /** A run that was started, to be followed. */
  follow: (errand: Errand) => void;
  /** Something was changed. */
  changed: () => void;
}

/** The buttons at a video's head, and the dialogs behind them. */
export function useActions({ video, follow, changed }: Props) {
  const [question, setQuestion] = useState<Question | null>(null);
  const [again, setAgain] = useState(false);
  const { busy, error, run: attempt } = useAttempt();
  const { video_id: videoId, state } = video;
  const atWork = state === "queued" || state === "encoding";
  const published = video.version !== null;

  const start = async (action: ManageAction, more: { version?: string; confirm?: string } = {}): Promise<void> => {
    const started = await manage(action, videoId, more);
    follow({ what: NOUNS[action], run: started });
    changed();
  };

  const goOn = async (dagId: string, runId: string): Promise<void> => {
    await resume(dagId, runId);
    changed();
  };

  const askCancel = (dagId: string, runId: string): void =>
    setQuestion({
      title: "Cancel this run?",
      text: "Its tools are stopped. What is finished is kept for a while: Continue takes up the work from there.",
      verb: "Cancel the run",
      danger: true,
      act: async () => {
        await cancel(dagId, runId);
        changed();
      },
    });
  const askDelete = (): void =>
    setQuestion({
      title: "Delete this video?",
      text: published
        ? "All its versions are removed from the results store, with their playlists. Links to it stop playing. This cannot be undone."
        : "What its runs have finished is removed. None of it was published. This cannot be undone.",
      verb: "Delete",
      danger: true,
      typed: videoId,
      act: () => start("delete", { confirm: videoId }),
    });
  const rollBack = (version: Version): void =>
    setQuestion({
      title: "Roll back?",
      text: `Players get the version ${version.version} instead of ${video.version ?? "the current one"}, at the same address. The current version is kept.`,
      verb: "Roll back",
      act: () => start("rollback", { version: version.version }),
    });

  const newest =
    video.dag_id !== null && video.run_id !== null && video.dag_id !== MANAGE
      ? { dagId: video.dag_id, runId: video.run_id }
      : null;
  const buttons = (
    <HStack gap={2} wrap="wrap">
      {state === "failed" && newest ? (
        <Button loading={busy} onClick={() => void attempt(() => goOn(newest.dagId, newest.runId))} size="sm">
          Continue
        </Button>
      ) : null}
      {atWork && newest ? (
        <Button colorPalette="danger" onClick={() => askCancel(newest.dagId, newest.runId)} size="sm" variant="outline">
          Cancel
        </Button>
      ) : null}
      {video.request && !atWork ? (
        <Button onClick={() => setAgain(true)} size="sm" variant="outline">
          Encode again
        </Button>
      ) : null}
      {published || state === "failed" ? (
        <Menu.Root positioning={{ placement: "bottom-end" }}>
          <Menu.Trigger asChild>
            <IconButton aria-label="More actions" size="sm" variant="outline">
              <MoreIcon />
            </IconButton>
          </Menu.Trigger>
          <Portal>
            <Menu.Positioner>
              <Menu.Content>
                {published ? (
                  <>
                    <Menu.Item onClick={() => void attempt(() => start("verify"))} value="verify">
                      Verify all files
                    </Menu.Item>
                    <Menu.Item onClick={() => void attempt(() => start("repair"))} value="repair">
                      Verify and repair
                    </Menu.Item>
                    <Menu.Separator />
                  </>
                ) : null}
                <Menu.Item color="error.fg" onClick={askDelete} value="delete">
                  Delete…
                </Menu.Item>
              </Menu.Content>
            </Menu.Positioner>
          </Portal>
        </Menu.Root>
      ) : null}
    </HStack>
  );
  const dialogs = (
    <>
      {error ? <Notice title={error} tone="error" /> : null}
      <Confirm close={() => setQuestion(null)} question={question} />
      <EncodeAgain close={() => setAgain(false)} open={again} started={changed} video={video} />
    </>
  );
  return { buttons, dialogs, rollBack };
}

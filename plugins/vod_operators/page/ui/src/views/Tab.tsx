// The tab of an Airflow run, and of its tasks: the work of that run.
import { Button, Flex, Skeleton, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router-dom";

import { ApiError, readRun, readWork } from "../api";
import { FilmIcon } from "../parts/icons";
import { Empty, Problem } from "../parts/Notice";
import { videoPath } from "../paths";
import { usePoll } from "../poll";
import { isAtWork, WorkPanel } from "./Work";

interface Props {
  dagId: string;
  runId: string;
  taskId?: string;
  mapIndex?: string;
}

/** The tab of a run that encodes nothing: Airflow has it on the runs of all DAGs. */
function NoWork({ dagId, runId }: { dagId: string; runId: string }) {
  const run = usePoll(
    `run/${dagId}/${runId}`,
    (signal) => readRun(dagId, runId, signal),
    () => 60,
  );
  const videoId = run.data?.conf?.video_id;
  if (run.data === null && run.error === null) return <Skeleton aria-label="Loading" h={60} />;
  return typeof videoId === "string" ? (
    <Empty icon={<FilmIcon />} title={`This run is about the video ${videoId}`}>
      {run.data?.note ? <Text fontSize="sm">{run.data.note}</Text> : null}
      <Button asChild size="xs" variant="outline">
        <RouterLink to={videoPath(videoId)}>Open the video</RouterLink>
      </Button>
    </Empty>
  ) : (
    <Empty icon={<FilmIcon />} title="This run does not work on a video" />
  );
}

export function TabView({ dagId, runId, taskId, mapIndex }: Props) {
  const work = usePoll(
    `work/${dagId}/${runId}`,
    (signal) => readWork(dagId, runId, signal),
    (data) => (data === null || isAtWork(data.state) ? 2 : 15),
  );
  if (work.error instanceof ApiError && work.error.status === 404) return <NoWork dagId={dagId} runId={runId} />;
  if (work.data === null) {
    return work.error ? <Problem error={work.error} retry={work.reload} /> : <Skeleton aria-label="Loading" h={60} />;
  }
  const { video_id: videoId } = work.data;
  return (
    <Stack gap={4} maxW="8xl" mx="auto">
      {videoId ? (
        <Flex align="center" gap={3} justify="space-between" wrap="wrap">
          <Text fontSize="sm" minW={0} overflowWrap="anywhere">
            Work on the video <strong>{videoId}</strong>
          </Text>
          <Button asChild size="xs" variant="outline">
            <RouterLink to={videoPath(videoId)}>Open the video</RouterLink>
          </Button>
        </Flex>
      ) : null}
      {work.error ? <Problem error={work.error} retry={work.reload} /> : null}
      <WorkPanel
        dagId={dagId}
        highlight={taskId === "transcode" && mapIndex !== undefined ? Number(mapIndex) : null}
        inRun
        runId={runId}
        work={work.data}
      />
    </Stack>
  );
}

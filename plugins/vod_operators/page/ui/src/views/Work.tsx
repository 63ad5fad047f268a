// What a run does: chunks, steps, what it waits for, and when it will be done.
import { Box, Button, chakra, Flex, Grid, HStack, Link, Stack, Text } from "@chakra-ui/react";
import { type ReactNode, useEffect, useState } from "react";
import { Link as RouterLink } from "react-router-dom";

import { moment, percent, span } from "../format";
import { Bar } from "../parts/Bar";
import { Card } from "../parts/Card";
import { ChunkStrip } from "../parts/ChunkStrip";
import { Notice } from "../parts/Notice";
import { RunBadge } from "../parts/StateBadge";
import { runPath, taskPath } from "../paths";
import type { Step, StepState, Work } from "../types";

export const isAtWork = (state: string): boolean => state === "queued" || state === "running";

/** Seconds since the epoch, again every second while `moving`. */
function useNow(moving: boolean): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [moving]);
  return now;
}

const seconds = (time: string): number => Date.parse(time) / 1000;

interface Props {
  work: Work;
  dagId: string;
  runId: string;
  /** The chunk that the page is about. */
  highlight?: number | null;
  /** Whether this stands on the run's own page in Airflow. */
  inRun?: boolean;
}

export function WorkPanel({ work, dagId, runId, highlight = null, inRun = false }: Props) {
  const busy = isAtWork(work.state);
  const now = useNow(busy);
  const begun = work.begun_at === null ? null : seconds(work.begun_at);
  const elapsed = begun === null ? null : Math.max(0, (work.ended_at === null ? now : seconds(work.ended_at)) - begun);
  const done = work.state === "success" ? 100 : work.percent;

  return (
    <Stack gap={4}>
      {work.state === "failed" && work.reason ? (
        <Notice title="This run failed" tone="error">
          {work.reason}
        </Notice>
      ) : null}
      {busy && work.waits_for ? (
        <Notice title="Waiting" tone="info">
          {work.waits_for}
        </Notice>
      ) : null}
      <Card
        aside={
          inRun ? (
            <RunBadge state={work.state} />
          ) : (
            <HStack gap={2}>
              <RunBadge state={work.state} />
              <Button asChild size="2xs" variant="outline">
                <RouterLink to={runPath(dagId, runId)}>Airflow run</RouterLink>
              </Button>
            </HStack>
          )
        }
        title={busy ? "At work" : "Work"}
      >
        <Stack gap={4}>
          <Stack gap={2}>
            <Bar
              label="Progress of the run"
              palette={work.state === "failed" ? "failed" : busy ? "running" : "success"}
              size={2}
              value={done}
            />
            <chakra.span aria-live="polite" srOnly>
              {/* Announced at each tenth, not each second. */}
              {done === null ? "" : `${Math.floor(done / 10) * 10} percent done`}
            </chakra.span>
          </Stack>
          <Grid gap={4} templateColumns={{ base: "repeat(2, 1fr)", md: "repeat(4, 1fr)" }}>
            <Figure name="Done" value={done === null ? "—" : percent(done)} />
            <Figure
              name={busy ? "Left" : "Ended"}
              note={busy && work.eta_error_s !== null ? `± ${span(work.eta_error_s)}` : undefined}
              value={
                busy
                  ? work.eta_s === null
                    ? "not known yet"
                    : `about ${span(work.eta_s)}`
                  : work.ended_at
                    ? moment(work.ended_at).split(", ").at(-1)!
                    : "—"
              }
            />
            <Figure name="Time since start" value={elapsed === null ? "—" : span(Math.floor(elapsed))} />
            <Figure
              name="CPU time"
              note={busy && work.estimate !== null ? `of about ${span(work.estimate.cpu_s.likely)}` : undefined}
              value={work.cpu_s === null ? "—" : span(work.cpu_s)}
            />
          </Grid>
          {work.estimate !== null ? (
            <Text color="fg.muted" fontSize="xs">
              Estimated before the start: {work.estimate.words}
            </Text>
          ) : null}
        </Stack>
      </Card>
      {work.chunks.length ? (
        <ChunkStrip chunks={work.chunks} dagId={dagId} highlight={highlight} runId={runId} />
      ) : null}
      {work.steps.length ? <Steps dagId={dagId} now={now} runId={runId} steps={work.steps} /> : null}
    </Stack>
  );
}

function Figure({ name, value, note }: { name: string; value: ReactNode; note?: string }) {
  return (
    <Box minW={0}>
      <Text color="fg.muted" fontSize="xs">
        {name}
      </Text>
      <Text fontSize="lg" fontVariantNumeric="tabular-nums" fontWeight="semibold" lineHeight="short">
        {value}
      </Text>
      {note ? (
        <Text color="fg.muted" fontSize="xs">
          {note}
        </Text>
      ) : null}
    </Box>
  );
}

/** What steps do whose names do not tell it. */
const MEANINGS: Record<string, string> = {
  prepare: "reads the source and plans",
  split: "cuts the source into chunks",
  analyse: "encodes samples at several rates, to learn what the title needs",
  choose: "chooses each rendition's rate, and which renditions are made",
  transcode: "encodes the pictures",
  audio: "encodes the sound",
  text: "makes the subtitles",
  pictures: "makes poster and storyboard",
  correct: "encodes again what misses the quality that was asked for",
  segment: "joins the chunks",
  publish: "checks the version and shows it to players",
  release: "frees the video for other runs",
};

const STEP_PALETTES: Record<StepState, string> = {
  waiting: "none",
  queued: "queued",
  running: "running",
  retrying: "up_for_retry",
  done: "success",
  skipped: "skipped",
  failed: "failed",
};

/** Each step as a bar from its begin to its end, below each other: where the time went. */
function Steps({ steps, dagId, runId, now }: { steps: Step[]; dagId: string; runId: string; now: number }) {
  const shown = steps.filter(({ state }) => state !== "skipped");
  const skipped = steps.filter(({ state }) => state === "skipped");
  const begins = steps.flatMap((step) => (step.begun_at === null ? [] : [seconds(step.begun_at)]));
  const ends = shown.map((step) =>
    step.ended_at !== null ? seconds(step.ended_at) : step.begun_at === null ? 0 : now,
  );
  const origin = Math.min(...begins);
  const length = Math.max(...ends) - origin || 1;
  return (
    <Card title="Time by step">
      <Stack as="ul" gap={1.5} listStyleType="none">
        {shown.map((step, index) => {
          const begun = step.begun_at === null ? null : seconds(step.begun_at);
          const left = begun === null ? 0 : ((begun - origin) / length) * 100;
          const width = begun === null ? 0 : Math.max(0.5, ((ends[index]! - begun) / length) * 100);
          const wall = step.wall_s ?? (begun === null ? null : Math.max(0, ends[index]! - begun));
          return (
            <Grid
              alignItems="center"
              as="li"
              columnGap={3}
              key={step.step}
              templateColumns="5.5rem minmax(0, 1fr) 5.5rem"
            >
              <Link asChild fontSize="sm">
                <RouterLink
                  aria-label={`Log of ${step.step}, ${step.state}`}
                  title={MEANINGS[step.step]}
                  to={taskPath(dagId, runId, step.step)}
                >
                  {step.step}
                </RouterLink>
              </Link>
              <Box bg="bg.muted" borderRadius="sm" h={4} overflow="hidden" position="relative" title={step.state}>
                <Box
                  bg={`${STEP_PALETTES[step.state]}.solid`}
                  borderRadius="sm"
                  h="full"
                  minW={width ? "3px" : 0}
                  position="absolute"
                  style={{ left: `${Math.min(left, 99)}%`, width: `${width}%` }}
                />
              </Box>
              <Flex
                color="fg.muted"
                fontSize="xs"
                fontVariantNumeric="tabular-nums"
                gap={1}
                justify="flex-end"
                textAlign="right"
              >
                {wall === null ? "—" : span(wall)}
                {step.tries > 1 ? <span title={`${step.tries} tries`}>×{step.tries}</span> : null}
              </Flex>
            </Grid>
          );
        })}
      </Stack>
      {skipped.length ? (
        <Text color="fg.muted" fontSize="xs" mt={2}>
          Not needed: {skipped.map(({ step }) => step).join(", ")}
        </Text>
      ) : null}
    </Card>
  );
}

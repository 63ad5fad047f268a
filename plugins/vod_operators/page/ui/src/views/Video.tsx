import { Box, Flex, Grid, Heading, HStack, Link, Skeleton, Stack, Text } from "@chakra-ui/react";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { Link as RouterLink, useNavigate, useParams, useSearchParams } from "react-router-dom";

import { mediaAddress, readBitrates, readVideo, readWork } from "../api";
import { ago, bitrate, bytes, clock, count, moment, rate, span } from "../format";
import { useMe } from "../me";
import { useActions } from "../parts/Actions";
import { BitratePlot } from "../parts/BitratePlot";
import { Card } from "../parts/Card";
import { Copyable, CopyButton } from "../parts/Copyable";
import { CostFacts } from "../parts/CostFacts";
import { Facts } from "../parts/Facts";
import { type Errand, Follow } from "../parts/Follow";
import { CheckIcon, WarningIcon } from "../parts/icons";
import { Notice, Problem } from "../parts/Notice";
import { QualitySize } from "../parts/QualitySize";
import { Renditions } from "../parts/Renditions";
import { Runs } from "../parts/Runs";
import { SourceReport } from "../parts/SourceReport";
import { StateBadge } from "../parts/StateBadge";
import { Versions } from "../parts/Versions";
import { PAGE } from "../paths";
import { Moment, ShowContext, showIn } from "../player/moments";
import { Player } from "../player/Player";
import { sourcesOf } from "../player/sources";
import { type Polled, usePoll } from "../poll";
import { measured, scoreOf, type Size, SIZES, vmaf } from "../quality";
import { useTitle } from "../title";
import type { Bitrates, Download, Video, VideoResult, Work } from "../types";
import { WorkPanel } from "./Work";

const isBusy = (video: Video | null): boolean => video?.state === "queued" || video?.state === "encoding";

export function VideoView() {
  const { videoId = "" } = useParams();
  const video = usePoll(
    `video/${videoId}`,
    (signal) => readVideo(videoId, signal),
    (data) => (isBusy(data) ? 3 : 10),
  );
  useTitle(`${videoId} – Videos`);
  return (
    <Stack gap={4} maxW="8xl" mx="auto">
      <Crumbs here={videoId} />
      {video.error ? <Problem error={video.error} retry={video.reload} /> : null}
      {video.data ? (
        <OneVideo key={videoId} reload={video.reload} video={video.data} />
      ) : video.error ? null : (
        <Stack aria-busy="true" aria-label="Loading" gap={4}>
          <Skeleton h={9} w={72} />
          <Skeleton h={96} />
        </Stack>
      )}
    </Stack>
  );
}

export const Crumbs = ({ here, between }: { here: string; between?: ReactNode }) => (
  <HStack aria-label="Breadcrumb" as="nav" color="fg.muted" fontSize="sm" gap={2} minW={0}>
    <Link asChild>
      <RouterLink to={PAGE}>Videos</RouterLink>
    </Link>
    <span aria-hidden="true">/</span>
    {between}
    <Text aria-current="page" truncate>
      {here}
    </Text>
  </HStack>
);

function OneVideo({ video, reload }: { video: Video; reload: () => void }) {
  const me = useMe();
  const navigate = useNavigate();
  const [errand, setErrand] = useState<Errand | null>(null);
  const { buttons, dialogs, rollBack } = useActions({ video, follow: setErrand, changed: reload });
  const bitrates = usePoll(
    `bitrates/${video.video_id}/${video.version}`,
    (signal) => (video.version ? readBitrates(video.video_id, video.version, signal) : Promise.resolve(null)),
    // A version never changes; only a failure is worth another try.
    (data) => (data ? 86_400 : 30),
  );
  const work = useNewestWork(video);
  const { result } = video;
  const ended = (succeeded: boolean): void => {
    if (succeeded && errand?.what === "Deletion") navigate(PAGE);
    else reload();
  };

  return (
    <>
      <Flex align="flex-start" gap={3} justify="space-between" wrap="wrap">
        <Box minW={0}>
          <HStack gap={3} wrap="wrap">
            <Heading as="h1" overflowWrap="anywhere" size="xl">
              {video.video_id}
            </Heading>
            <StateBadge done={work.data?.percent ?? video.percent} state={video.state} />
          </HStack>
          <Text color="fg.muted" fontSize="sm" overflowWrap="anywhere">
            {[video.title, video.updated_at ? ago(video.updated_at) : null, video.by ? `by ${video.by}` : null]
              .filter(Boolean)
              .join(" · ")}
          </Text>
        </Box>
        {me.can_act ? buttons : null}
      </Flex>
      {dialogs}
      {errand ? <Follow ended={ended} errand={errand} key={errand.run.dag_run_id} /> : null}
      <NewestWork video={video} work={work} />
      {video.playlist && result ? <Published bitrates={bitrates} result={result} video={video} /> : null}
      {video.versions.length ? (
        <Card flush title={`Versions (${video.versions.length})`}>
          <Versions
            rollBack={me.can_act && !isBusy(video) ? rollBack : undefined}
            versions={video.versions}
            videoId={video.video_id}
          />
        </Card>
      ) : null}
      {video.runs.length ? (
        <Card flush title={`Runs (${video.runs.length})`}>
          <Runs runs={video.runs} />
        </Card>
      ) : null}
    </>
  );
}

/** The work of the newest run, while it is at work and after it failed. */
function useNewestWork(video: Video): Polled<Work | null> {
  const { dag_id: dagId, run_id: runId, state } = video;
  const show = state !== "published" && dagId !== null && runId !== null;
  return usePoll(
    `work/${show}/${dagId}/${runId}`,
    (signal) => (show ? readWork(dagId, runId, signal) : Promise.resolve(null)),
    () => (isBusy(video) ? 2 : 15),
  );
}

function NewestWork({ video, work }: { video: Video; work: Polled<Work | null> }) {
  const { dag_id: dagId, run_id: runId, state } = video;
  if (state === "published" || dagId === null || runId === null) return null;
  if (work.data) return <WorkPanel dagId={dagId} runId={runId} work={work.data} />;
  if (work.error) return <Problem error={work.error} retry={work.reload} />;
  return state === "failed" && video.reason ? (
    <Notice title="The newest run failed" tone="error">
      {video.reason}
    </Notice>
  ) : (
    <Skeleton h={40} />
  );
}

function Published({
  video,
  result,
  bitrates,
}: {
  video: Video;
  result: VideoResult;
  bitrates: Polled<Bitrates | null>;
}) {
  const [query] = useSearchParams();
  const player = useRef<HTMLVideoElement>(null);
  const show = useMemo(() => showIn(player), []);
  const [size, setSize] = useState<Size>("native");
  const quality = measured(result.renditions);
  const aimed = result.renditions.some((rendition) => rendition.quality?.target);
  const worst = new Map(
    result.renditions.flatMap((rendition) => {
      const score = scoreOf(rendition, size);
      if (score === null) return [];
      const text = `the worst pictures, VMAF ${vmaf(score.worst)}, at ${clock(score.worst_at_s, true)}`;
      return [[rendition.name, { at: score.worst_at_s, text }] as const];
    }),
  );
  const own = (path: string | null): string | null => (path ? mediaAddress(video.video_id, path) : null);
  return (
    <ShowContext.Provider value={show}>
      {result.warnings?.length ? (
        <Notice title={`Published with ${count(result.warnings.length, "warning")}`} tone="warning">
          <Lines lines={result.warnings} />
        </Notice>
      ) : null}
      <Grid
        alignItems="start"
        gap={4}
        templateColumns={{ base: "minmax(0, 1fr)", xl: "minmax(0, 2fr) minmax(0, 1fr)" }}
      >
        <Player
          autoPlay={query.has("play")}
          frame_s={result.duration_s / Math.max(1, result.frames)}
          // Another version is another film, with the player's menus anew.
          key={video.version}
          label={video.video_id}
          chapters={result.chapters}
          poster={own(video.poster)}
          sources={sourcesOf(video, video.playlist!)}
          storyboard={own(video.storyboard)}
          video={player}
        />
        <Stack gap={4}>
          <Card title="Video">
            <VideoFacts result={result} video={video} />
          </Card>
          <Card title="Checks and remarks">
            <Remarks video={video} />
          </Card>
        </Stack>
      </Grid>
      <Card
        aside={quality ? <QualitySize choose={setSize} size={size} /> : undefined}
        flush
        title={`Renditions (${result.renditions.length})`}
      >
        <Renditions bitrates={bitrates.data} renditions={result.renditions} size={size} />
        {quality ? (
          <Text color="fg.muted" fontSize="xs" px={4} py={2}>
            VMAF ({quality.model}) compares pictures with the source's, {SIZES[size]}, from 0 to 100; above 93 few
            people see a difference. {span(quality.measured_s)} of the video were compared. 95 % of the pictures reach
            the 5th percentile; worst is the mean of the worst two seconds.
            {aimed ? " What is asked for is asked at their own size." : ""}
          </Text>
        ) : null}
        {result.ladder?.by_title ? <LeftOut rungs={result.ladder.left_out} /> : null}
        {bitrates.data ? (
          <Box p={4}>
            <Text fontSize="sm" fontWeight="semibold" mb={2}>
              Bitrate over time
            </Text>
            <BitratePlot bitrates={bitrates.data} key={video.version} worst={worst} />
          </Box>
        ) : bitrates.error ? (
          <Box p={4}>
            <Problem error={bitrates.error} retry={bitrates.reload} />
          </Box>
        ) : null}
      </Card>
      <Grid gap={4} templateColumns={{ base: "minmax(0, 1fr)", lg: "repeat(2, minmax(0, 1fr))" }}>
        <Card title="Source">
          <SourceFacts result={result} />
        </Card>
        {result.source_report ? (
          <Card title="Found in the source">
            <SourceReport report={result.source_report} />
          </Card>
        ) : null}
        {result.downloads?.length ? (
          <Card title="Downloads">
            <Downloads files={result.downloads} videoId={video.video_id} />
          </Card>
        ) : null}
        <Card title="Addresses">
          <Addresses video={video} />
        </Card>
        {result.cost ? (
          <Card title="Cost">
            <CostFacts cost={result.cost} />
          </Card>
        ) : null}
      </Grid>
    </ShowContext.Provider>
  );
}

/** The rungs of the preset's ladder that this title does not need. */
function LeftOut({ rungs }: { rungs: { name: string; why: string }[] }) {
  return (
    <Box borderTopWidth="1px" fontSize="sm" px={4} py={3}>
      <Text fontWeight="semibold">
        {rungs.length ? `Left out for this title (${rungs.length})` : "Chosen by title: no rung is left out."}
      </Text>
      {rungs.length ? <Lines lines={rungs.map(({ name, why }) => `${name}: ${why}`)} /> : null}
    </Box>
  );
}

function VideoFacts({ video, result }: { video: Video; result: VideoResult }) {
  const { timings } = result;
  return (
    <Facts
      facts={[
        ["Length", `${clock(result.duration_s, result.duration_s < 60)} · ${count(result.frames, "frame")}`],
        ["Frame rate", result.frame_rate ? `${rate(result.frame_rate)} a second` : null],
        ["Preset", result.preset],
        ["Published", <span title={moment(timings.published_at)}>{ago(timings.published_at)}</span>],
        ["Took", timings.wall_s === null ? null : `${span(timings.wall_s)}, ${count(result.chunks, "chunk")}`],
        ["Encoding", `${span(timings.encode_s)} on all hosts together`],
        ["Encryption", result.encryption ? <Encryption encryption={result.encryption} /> : null],
        ["Size", bytes(result.renditions.reduce((sum, { size_bytes }) => sum + size_bytes, 0))],
        [
          "Version",
          video.version ? (
            <HStack gap={1}>
              <Text fontFamily="mono" fontSize="xs" truncate>
                {video.version}
              </Text>
              <CopyButton text={video.version} what="the version" />
            </HStack>
          ) : null,
        ],
        [
          "Chapters",
          result.chapters.length
            ? result.chapters.map(({ start_s, title }) => (
                <div key={start_s}>
                  <Moment at={start_s} what={`the chapter ${title ?? ""}`}>
                    {clock(start_s)}
                  </Moment>{" "}
                  {title}
                </div>
              ))
            : null,
        ],
      ]}
    />
  );
}

const SYSTEMS: Record<string, string> = {
  fairplay: "FairPlay",
  widevine: "Widevine",
  playready: "PlayReady",
  clearkey: "ClearKey (protects nothing)",
};

function Encryption({ encryption }: { encryption: NonNullable<VideoResult["encryption"]> }) {
  const { scheme, systems, keys, rotation_segments: segments } = encryption;
  const tracks = Object.entries(keys).map(([id, names]) => `${id}: ${names.join(", ")}`);
  return (
    <span title={tracks.join("\n")}>
      {[
        scheme,
        systems.map((name) => SYSTEMS[name] ?? name).join(", "),
        count(tracks.length, "key"),
        segments ? `in turn, ${count(segments, "segment")} each` : "",
      ]
        .filter(Boolean)
        .join(" · ")}
    </span>
  );
}

function Remarks({ video }: { video: Video }) {
  const { check, remarks } = video;
  return (
    <Stack fontSize="sm" gap={3}>
      {check ? (
        <Flex align="flex-start" gap={2}>
          <Box color={check.warnings.length ? "warning.fg" : "success.fg"} pt={1}>
            {check.warnings.length ? <WarningIcon /> : <CheckIcon />}
          </Box>
          <Box minW={0}>
            {check.warnings.length
              ? `${count(check.rules, "rule")} checked, with ${count(check.warnings.length, "warning")}:`
              : `All ${count(check.rules, "rule")} of the validator are kept.`}
            <Lines lines={check.warnings} />
          </Box>
        </Flex>
      ) : (
        <Text color="fg.muted">The validator's result of this version is not known.</Text>
      )}
      {remarks.length ? (
        <Box>
          <Text color="fg.muted" fontSize="xs" mb={1}>
            What was done to the source
          </Text>
          <Lines lines={remarks} />
        </Box>
      ) : (
        <Text color="fg.muted">Nothing of the source had to be changed or left out.</Text>
      )}
    </Stack>
  );
}

const Lines = ({ lines }: { lines: string[] }) => (
  <Stack as="ul" gap={1} listStylePosition="outside" listStyleType="disc" pl={4}>
    {lines.map((line) => (
      <Box as="li" key={line} overflowWrap="anywhere">
        {line}
      </Box>
    ))}
  </Stack>
);

function Downloads({ files, videoId }: { files: Download[]; videoId: string }) {
  return (
    <Stack as="ul" fontSize="sm" gap={1} listStyleType="none">
      {files.map((file) => (
        <Flex as="li" gap={3} justify="space-between" key={file.uri} wrap="wrap">
          <Link download href={mediaAddress(videoId, file.uri)} overflowWrap="anywhere">
            {file.uri.split("/").at(-1)}
          </Link>
          <Text color="fg.muted">
            {file.names.join(", ")} · {bytes(file.size_bytes)}
          </Text>
        </Flex>
      ))}
    </Stack>
  );
}

/** What viewers get comes first. */
const edgesFirst = (one: { place: string }, other: { place: string }): number =>
  Number(one.place === "results") - Number(other.place === "results");

function Addresses({ video }: { video: Video }) {
  return (
    <Stack gap={4}>
      {[...video.urls].sort(edgesFirst).map(({ place, hls, dash }) => (
        <Stack gap={1.5} key={place}>
          <Text color="fg.muted" fontSize="xs" truncate>
            {place === "results" ? "In the results store" : `At the edge ${place}`}
          </Text>
          <Copyable label="HLS" text={hls} />
          {dash ? <Copyable label="DASH" text={dash} /> : null}
        </Stack>
      ))}
      {video.embed ? (
        <Stack gap={1.5}>
          <Text color="fg.muted" fontSize="xs">
            For a web page, in browsers that play HLS themselves (desktop Firefox does not)
          </Text>
          <Copyable label="Embed" text={video.embed} />
        </Stack>
      ) : null}
    </Stack>
  );
}

function SourceFacts({ result }: { result: VideoResult }) {
  const { source } = result;
  const pictures = [
    source.video_codec,
    source.width && source.height ? `${source.width} × ${source.height}` : null,
    source.frame_rate ? `${rate(source.frame_rate)} a second` : null,
  ];
  return (
    <Facts
      facts={[
        ["File", source.name],
        ["Container", `${source.container}, ${bytes(source.size_bytes)}`],
        ["Pictures", pictures.filter(Boolean).join(" · ")],
        ["Sound tracks", source.audio_tracks],
        ["Subtitles", source.text_tracks],
        ["Length", source.duration_s === null ? null : clock(source.duration_s, source.duration_s < 60)],
        ["Bitrate", source.bitrate_bps === null ? null : bitrate(source.bitrate_bps)],
        [
          "Made by",
          Object.entries(result.made_by)
            .map(([tool, version]) => `${tool} ${version}`)
            .join(", "),
        ],
      ]}
    />
  );
}

// Two versions of a video side by side, in step, with one set of controls.
import { Badge, Box, Button, Flex, Grid, Heading, HStack, Link, Skeleton, Stack, Text } from "@chakra-ui/react";
import { type RefObject, useMemo, useRef, useState } from "react";
import { Link as RouterLink, useNavigate, useParams } from "react-router-dom";

import { manage, mediaAddress, readResult, readVideo } from "../api";
import { moment } from "../format";
import { useMe } from "../me";
import { Card } from "../parts/Card";
import { CompareQuality } from "../parts/CompareQuality";
import { Confirm, type Question } from "../parts/Confirm";
import { type Errand, Follow } from "../parts/Follow";
import { Notice, Problem } from "../parts/Notice";
import { videoPath } from "../paths";
import { Controls } from "../player/Controls";
import { KEYS_HELP, onKeys } from "../player/keys";
import { ShowContext, showIn } from "../player/moments";
import { sourcesOf } from "../player/sources";
import { useStoryboard } from "../player/storyboard";
import { type HlsState, useHls } from "../player/useHls";
import { useMedia } from "../player/useMedia";
import { useStep } from "../player/useStep";
import { usePoll } from "../poll";
import { useTitle } from "../title";
import type { Version, Video } from "../types";
import { Crumbs } from "./Video";

export function CompareView() {
  const { videoId = "", version = "" } = useParams();
  const video = usePoll(
    `video/${videoId}`,
    (signal) => readVideo(videoId, signal),
    () => 30,
  );
  const current = video.data?.versions.find(({ is_current }) => is_current);
  const other = video.data?.versions.find((candidate) => candidate.version === version);
  const title = `Compare versions of ${videoId}`;
  useTitle(`${title} – Videos`);

  return (
    <Stack gap={4} maxW="8xl" mx="auto">
      <Crumbs
        between={
          <>
            <Link asChild>
              <RouterLink to={videoPath(videoId)}>{videoId}</RouterLink>
            </Link>
            <span aria-hidden="true">/</span>
          </>
        }
        here="Compare"
      />
      {video.error ? <Problem error={video.error} retry={video.reload} /> : null}
      {video.data === null ? (
        video.error ? null : (
          <Skeleton aria-label="Loading" h={96} />
        )
      ) : current?.playlist && other?.playlist && current !== other ? (
        <Both
          current={current}
          key={`${current.version} ${other.version}`}
          other={other}
          reload={video.reload}
          title={title}
          video={video.data}
        />
      ) : (
        <Notice
          action={
            <Button asChild size="xs" variant="outline">
              <RouterLink to={videoPath(videoId)}>Open the video</RouterLink>
            </Button>
          }
          title={
            other?.is_current
              ? "This is the current version now."
              : "This version cannot be compared: it is not there any more."
          }
          tone="info"
        />
      )}
    </Stack>
  );
}

interface BothProps {
  video: Video;
  current: Version;
  other: Version;
  title: string;
  reload: () => void;
}

function Both({ video, current, other, title, reload }: BothProps) {
  const me = useMe();
  const navigate = useNavigate();
  const box = useRef<HTMLDivElement>(null);
  const one = useRef<HTMLVideoElement>(null);
  const two = useRef<HTMLVideoElement>(null);
  const oneHls = useHls(one, sourcesOf(video, current.playlist!));
  const twoHls = useHls(two, sourcesOf(video, other.playlist!));
  const media = useMedia(one);
  useStep(one, two);
  const pictures = useStoryboard(video.storyboard ? mediaAddress(video.video_id, video.storyboard) : null);
  const [question, setQuestion] = useState<Question | null>(null);
  const [errand, setErrand] = useState<Errand | null>(null);

  const toggleFullscreen = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void box.current?.requestFullscreen();
  };
  const ask = (): void =>
    setQuestion({
      title: "Roll back?",
      text: `Players get the version ${other.version} instead of ${current.version}, at the same address. The current version is kept.`,
      verb: "Roll back",
      act: async () => {
        setErrand({ what: "Roll back", run: await manage("rollback", video.video_id, { version: other.version }) });
      },
    });
  const result = video.result;
  const show = useMemo(() => showIn(one), []);
  const results = usePoll(
    `results/${video.video_id}/${current.version}/${other.version}`,
    (signal) => Promise.all([current, other].map(({ version }) => readResult(video.video_id, version, signal))),
    (data) => (data ? 86_400 : 30),
  );

  return (
    <>
      <Flex align="center" gap={3} justify="space-between" wrap="wrap">
        <Heading as="h1" overflowWrap="anywhere" size="lg">
          {title}
        </Heading>
        {me.can_act ? (
          <Button onClick={ask} size="sm">
            Roll back to {other.version.slice(0, 12)}…
          </Button>
        ) : null}
      </Flex>
      {errand ? (
        <Follow
          ended={(succeeded) => {
            if (succeeded) navigate(videoPath(video.video_id));
            else reload();
          }}
          errand={errand}
        />
      ) : null}
      <Box
        aria-label="Players of both versions"
        bg="bg"
        borderRadius="md"
        borderWidth="1px"
        display="flex"
        flexDirection="column"
        onKeyDown={onKeys(
          () =>
            one.current && {
              video: one.current,
              frame_s: result ? result.duration_s / result.frames : 0.04,
              toggleFullscreen,
            },
        )}
        overflow="hidden"
        ref={box}
        role="group"
      >
        <Grid alignItems="start" flex="1" gap={0.5} overflow="auto" templateColumns={{ base: "1fr", md: "1fr 1fr" }}>
          <Side hls={oneHls} sound title="Current" version={current} video={one} />
          <Side hls={twoHls} title="Other" version={other} video={two} />
        </Grid>
        <Controls media={media} pictures={pictures} toggleFullscreen={toggleFullscreen} video={one} />
      </Box>
      <Text color="fg.muted" display={{ base: "none", md: "block" }} fontSize="xs">
        {KEYS_HELP}. The sound is that of the current version.
      </Text>
      <Card title="What differs">
        <Differences current={current} other={other} />
      </Card>
      {results.error ? <Problem error={results.error} retry={results.reload} /> : null}
      {results.data ? (
        <ShowContext.Provider value={show}>
          <CompareQuality current={results.data[0]!} other={results.data[1]!} />
        </ShowContext.Provider>
      ) : null}
      <Confirm close={() => setQuestion(null)} question={question} />
    </>
  );
}

interface SideProps {
  title: string;
  version: Version;
  video: RefObject<HTMLVideoElement | null>;
  hls: HlsState;
  /** Whether this one is heard. */
  sound?: boolean;
}

function Side({ title, version, video, hls, sound = false }: SideProps) {
  return (
    <Box minW={0}>
      <Flex align="center" gap={2} px={3} py={2} wrap="wrap">
        <Badge colorPalette={version.is_current ? "success" : "none"}>{title}</Badge>
        <Text fontFamily="mono" fontSize="xs" minW={0} truncate>
          {version.version}
        </Text>
        <Box as="label" fontSize="xs" ml="auto">
          <Text as="span" srOnly>
            Quality of {title.toLowerCase()}
          </Text>
          <select
            data-own-keys
            onChange={(event) => hls.levels.choose(Number(event.target.value))}
            style={{ background: "transparent", maxWidth: "11rem" }}
            value={hls.levels.chosen}
          >
            <option value={-1}>{hls.playing && hls.levels.chosen === -1 ? `Auto: ${hls.playing}` : "Auto"}</option>
            {hls.levels.choices.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </Box>
      </Flex>
      <Box bg="#000">
        <video
          aria-label={`${title} version`}
          muted={!sound}
          playsInline
          ref={video}
          style={{ aspectRatio: "16 / 9", objectFit: "contain", width: "100%" }}
        />
      </Box>
      {hls.error ? <Problem error={new Error(hls.error)} /> : null}
    </Box>
  );
}

const Differences = ({ current, other }: { current: Version; other: Version }) => (
  <HStack align="flex-start" fontSize="sm" gap={8} wrap="wrap">
    {[
      { name: "Current", version: current },
      { name: "Other", version: other },
    ].map(({ name, version }) => (
      <Box key={name}>
        <Text color="fg.muted" fontSize="xs">
          {name}
        </Text>
        <Text>Preset {version.preset ?? "not known"}</Text>
        <Text>{version.published_at ? `Published ${moment(version.published_at)}` : "Publication not known"}</Text>
      </Box>
    ))}
  </HStack>
);

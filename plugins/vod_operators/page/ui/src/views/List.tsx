import {
  Box,
  Button,
  chakra,
  Flex,
  Grid,
  Heading,
  HStack,
  Input,
  InputGroup,
  Link,
  NativeSelect,
  Skeleton,
  Stack,
  Text,
} from "@chakra-ui/react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link as RouterLink, useSearchParams } from "react-router-dom";

import { readVideos } from "../api";
import { ago, clock, count, moment } from "../format";
import { useMe } from "../me";
import { Bar } from "../parts/Bar";
import { DownIcon, FilmIcon, PlusIcon, SearchIcon, UpIcon } from "../parts/icons";
import { Empty, Problem } from "../parts/Notice";
import { Poster } from "../parts/Poster";
import { PALETTE, STATE_NAMES, StateBadge } from "../parts/StateBadge";
import { newVideoPath, videoPath } from "../paths";
import { usePoll } from "../poll";
import { useTitle } from "../title";
import type { Row, VideoList, VideoState } from "../types";

const LIMIT = 50;
const STATES: VideoState[] = ["encoding", "queued", "failed", "published"];
const COLUMNS = "minmax(0, 1fr) 14rem 5rem 7rem 8.5rem 6rem";
const SORTS: [value: string, text: string][] = [
  ["-updated_at", "Newest first"],
  ["updated_at", "Oldest first"],
  ["video_id", "Id, A to Z"],
  ["-video_id", "Id, Z to A"],
  ["-duration_s", "Longest first"],
  ["duration_s", "Shortest first"],
  ["state", "State"],
  ["-state", "State, reversed"],
  ["preset", "Preset, A to Z"],
  ["-preset", "Preset, Z to A"],
];
const DEFAULT_SORT = "-updated_at";

/** While something is at work, its progress is shown as it comes. */
const interval = (list: VideoList | null): number => (list && list.counts.encoding + list.counts.queued > 0 ? 3 : 10);

/** The list's filters, which are the address's query; changing one goes back to the first page. */
function useFilters() {
  const [query, setQuery] = useSearchParams();
  const set = (name: string, value: string): void =>
    setQuery(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        if (name !== "offset") next.delete("offset");
        return next;
      },
      { replace: name === "search" },
    );
  const get = (name: string): string => query.get(name) ?? "";
  return {
    search: get("search"),
    state: get("state"),
    preset: get("preset"),
    sort: get("sort") || DEFAULT_SORT,
    offset: Math.max(0, Number.parseInt(get("offset"), 10) || 0),
    set,
    clear: () => setQuery({}),
  };
}

export function ListView() {
  const me = useMe();
  const filters = useFilters();
  useTitle("Videos");
  const query = new URLSearchParams({ sort: filters.sort, offset: String(filters.offset), limit: String(LIMIT) });
  for (const name of ["search", "state", "preset"] as const) {
    if (filters[name]) query.set(name, filters[name]);
  }
  const key = query.toString();
  const { data, error, reload } = usePoll(`videos?${key}`, (signal) => readVideos(key, signal), interval, false);
  const filtered = Boolean(filters.search || filters.state || filters.preset);

  return (
    <Stack gap={4} maxW="8xl" mx="auto">
      <Flex align="center" gap={3} justify="space-between" wrap="wrap">
        <Heading as="h1" size="xl">
          Videos
        </Heading>
        {me.can_act ? (
          <Button asChild>
            <RouterLink to={newVideoPath}>
              <PlusIcon /> New video
            </RouterLink>
          </Button>
        ) : null}
      </Flex>
      <Toolbar data={data} filters={filters} />
      {error ? <Problem error={error} retry={reload} /> : null}
      {data === null ? (
        error ? null : (
          <Skeletons />
        )
      ) : data.videos.length === 0 ? (
        <Box bg="bg" borderRadius="md" borderWidth="1px">
          {filtered || filters.offset ? (
            <Empty icon={<SearchIcon />} title="No video matches">
              <Button onClick={filters.clear} size="xs" variant="outline">
                Show all videos
              </Button>
            </Empty>
          ) : (
            <Empty icon={<FilmIcon />} title="No videos yet">
              <Text fontSize="sm">
                {me.can_act
                  ? "Encode the first one; it appears here while it is at work."
                  : "None has been encoded so far."}
              </Text>
            </Empty>
          )}
        </Box>
      ) : (
        <>
          <Videos filters={filters} rows={data.videos} />
          <Pages filters={filters} total={data.total} />
        </>
      )}
    </Stack>
  );
}

type Filters = ReturnType<typeof useFilters>;

function Toolbar({ data, filters }: { data: VideoList | null; filters: Filters }) {
  const [text, setText] = useState(filters.search);
  const typed = useRef(false);
  const { search } = filters;
  const latest = useRef(filters);
  latest.current = filters;
  useEffect(() => {
    if (!typed.current) setText(search);
  }, [search]);
  useEffect(() => {
    if (!typed.current) return undefined;
    const timer = setTimeout(() => {
      typed.current = false;
      latest.current.set("search", text.trim());
    }, 300);
    return () => clearTimeout(timer);
  }, [text]);

  return (
    <Stack gap={3}>
      <HStack aria-label="Filter by state" gap={2} role="group" wrap="wrap">
        {STATES.map((state) => {
          const pressed = filters.state === state;
          return (
            <Button
              aria-pressed={pressed}
              colorPalette={PALETTE[state]}
              key={state}
              onClick={() => filters.set("state", pressed ? "" : state)}
              size="xs"
              variant={pressed ? "solid" : "outline"}
            >
              {STATE_NAMES[state]}
              <chakra.span fontVariantNumeric="tabular-nums" opacity={0.8}>
                {data ? data.counts[state].toLocaleString("en") : "…"}
              </chakra.span>
            </Button>
          );
        })}
      </HStack>
      <Grid gap={2} templateColumns={{ base: "1fr 1fr", md: "minmax(0, 1fr) 12rem 12rem" }}>
        <InputGroup gridColumn={{ base: "1 / -1", md: "auto" }} startElement={<SearchIcon />}>
          <Input
            aria-label="Search by id or title"
            onChange={(event) => {
              typed.current = true;
              setText(event.target.value);
            }}
            placeholder="Search by id or title"
            size="sm"
            type="search"
            value={text}
          />
        </InputGroup>
        <Choice label="Preset" onChange={(value) => filters.set("preset", value)} value={filters.preset}>
          <option value="">All presets</option>
          {(data?.presets ?? (filters.preset ? [filters.preset] : [])).map((preset) => (
            <option key={preset} value={preset}>
              {preset}
            </option>
          ))}
        </Choice>
        <Choice
          label="Order"
          onChange={(value) => filters.set("sort", value === DEFAULT_SORT ? "" : value)}
          value={filters.sort}
        >
          {SORTS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </Choice>
      </Grid>
    </Stack>
  );
}

function Choice({
  label,
  value,
  onChange,
  children,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: ReactNode;
}) {
  return (
    <NativeSelect.Root size="sm">
      <NativeSelect.Field aria-label={label} onChange={(event) => onChange(event.target.value)} value={value}>
        {children}
      </NativeSelect.Field>
      <NativeSelect.Indicator />
    </NativeSelect.Root>
  );
}

/** A table on wide screens; on narrow ones its rows become cards by the same grid. */
function Videos({ rows, filters }: { rows: Row[]; filters: Filters }) {
  return (
    <Box
      aria-label="Videos"
      bg="bg"
      borderColor="border"
      borderRadius="md"
      borderWidth="1px"
      overflow="hidden"
      role="table"
    >
      <Box display={{ base: "none", lg: "block" }} role="rowgroup">
        <Grid
          bg="bg.subtle"
          borderBottomWidth="1px"
          borderColor="border"
          gap={4}
          px={4}
          py={2}
          role="row"
          templateColumns={COLUMNS}
        >
          <SortHead filters={filters} name="video_id" text="Video" />
          <SortHead filters={filters} name="state" text="State" />
          <SortHead filters={filters} name="duration_s" text="Length" />
          <SortHead filters={filters} name="preset" text="Preset" />
          <SortHead filters={filters} name="updated_at" text="Updated" />
          <Head>By</Head>
        </Grid>
      </Box>
      <Box role="rowgroup">
        {rows.map((row) => (
          <VideoRow key={row.video_id} row={row} />
        ))}
      </Box>
    </Box>
  );
}

const Head = ({ children, sort }: { children: ReactNode; sort?: "ascending" | "descending" | "none" }) => (
  <Box aria-sort={sort} color="fg.muted" fontSize="xs" fontWeight="semibold" role="columnheader">
    {children}
  </Box>
);

function SortHead({ name, text, filters }: { name: string; text: string; filters: Filters }) {
  const up = filters.sort === name;
  const down = filters.sort === `-${name}`;
  const next = down ? name : up || name === "updated_at" || name === "duration_s" ? `-${name}` : name;
  return (
    <Head sort={up ? "ascending" : down ? "descending" : "none"}>
      <chakra.button
        _focusVisible={{ outline: "2px solid", outlineColor: "brand.focusRing", outlineOffset: "2px" }}
        _hover={{ color: "fg" }}
        alignItems="center"
        cursor="pointer"
        display="inline-flex"
        gap={1}
        onClick={() => filters.set("sort", next === DEFAULT_SORT ? "" : next)}
        type="button"
      >
        {text}
        {up ? <UpIcon /> : down ? <DownIcon /> : null}
      </chakra.button>
    </Head>
  );
}

function VideoRow({ row }: { row: Row }) {
  return (
    <Grid
      _hover={{ bg: "bg.subtle" }}
      _notLast={{ borderBottomWidth: "1px" }}
      alignItems="center"
      borderColor="border"
      columnGap={4}
      px={{ base: 3, lg: 4 }}
      py={2.5}
      role="row"
      rowGap={1}
      templateColumns={{ base: "minmax(0, 1fr)", lg: COLUMNS }}
    >
      <Flex align="center" gap={3} minW={0} role="cell">
        <Box flexShrink={0} w={{ base: 20, lg: 24 }}>
          <Poster poster={row.poster} videoId={row.video_id} />
        </Box>
        <Box minW={0}>
          <Link asChild display="block" fontWeight="semibold" truncate>
            <RouterLink to={videoPath(row.video_id)}>{row.video_id}</RouterLink>
          </Link>
          <Text color="fg.muted" fontSize="xs" title={row.title ?? undefined} truncate>
            {row.title ?? "—"}
          </Text>
        </Box>
      </Flex>
      <Box minW={0} role="cell">
        <HStack gap={2} minW={0}>
          <StateBadge done={row.percent} state={row.state} />
          <NarrowFacts row={row} />
        </HStack>
        {row.state === "encoding" ? (
          <Box mt={1.5}>
            <Bar label={`Progress of ${row.video_id}`} value={row.percent} />
          </Box>
        ) : null}
        {row.state === "failed" && row.reason ? (
          <Text color="error.fg" fontSize="xs" lineClamp={2} mt={1} overflowWrap="anywhere" title={row.reason}>
            {row.reason}
          </Text>
        ) : null}
      </Box>
      <Cell>{row.duration_s === null ? "—" : clock(row.duration_s)}</Cell>
      <Cell>{row.preset ?? "—"}</Cell>
      <Cell title={row.updated_at ? moment(row.updated_at) : undefined}>
        {row.updated_at ? ago(row.updated_at) : "—"}
      </Cell>
      <Cell title={row.by ?? undefined}>{row.by ?? "—"}</Cell>
    </Grid>
  );
}

const Cell = ({ children, title }: { children: ReactNode; title?: string }) => (
  <Text
    color="fg"
    display={{ base: "none", lg: "block" }}
    fontSize="sm"
    fontVariantNumeric="tabular-nums"
    role="cell"
    title={title}
    truncate
  >
    {children}
  </Text>
);

/** On narrow screens: the other columns in a line. */
function NarrowFacts({ row }: { row: Row }) {
  const facts = [
    row.duration_s === null ? null : clock(row.duration_s),
    row.preset,
    row.updated_at ? ago(row.updated_at) : null,
  ];
  return (
    <Text color="fg.muted" display={{ base: "block", lg: "none" }} fontSize="xs" minW={0} truncate>
      {facts.filter(Boolean).join(" · ")}
    </Text>
  );
}

function Pages({ filters, total }: { filters: Filters; total: number }) {
  const { offset } = filters;
  const go = (to: number) => () => filters.set("offset", to > 0 ? String(to) : "");
  return (
    <Flex align="center" as="nav" aria-label="Pages" color="fg.muted" fontSize="sm" gap={3} justify="space-between">
      <Text aria-live="polite" fontVariantNumeric="tabular-nums">
        {total > LIMIT
          ? `${(offset + 1).toLocaleString("en")}–${Math.min(offset + LIMIT, total).toLocaleString("en")} of ${count(total, "video")}`
          : count(total, "video")}
      </Text>
      {total > LIMIT ? (
        <HStack>
          <Button disabled={offset === 0} onClick={go(offset - LIMIT)} size="xs" variant="outline">
            Previous
          </Button>
          <Button disabled={offset + LIMIT >= total} onClick={go(offset + LIMIT)} size="xs" variant="outline">
            Next
          </Button>
        </HStack>
      ) : null}
    </Flex>
  );
}

const Skeletons = () => (
  <Stack aria-busy="true" aria-label="Loading" gap={2}>
    {[0, 1, 2, 3, 4, 5].map((row) => (
      <Skeleton h={16} key={row} />
    ))}
  </Stack>
);

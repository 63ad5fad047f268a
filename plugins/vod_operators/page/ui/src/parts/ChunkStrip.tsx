// All chunks of a run, a cell each, that fill while they are encoded; one row for each host.
import { Box, chakra, Grid, HStack, Stack, Text } from "@chakra-ui/react";
import { type KeyboardEvent, useRef, useState } from "react";
import { Link as RouterLink } from "react-router-dom";

import { count, percent, span } from "../format";
import { chunkPath } from "../paths";
import type { Chunk, ChunkState } from "../types";
import { Card } from "./Card";

const LEGEND: [state: ChunkState, name: string, color: string][] = [
  ["done", "done", "success.solid"],
  ["retried", "to be tried again", "up_for_retry.solid"],
  ["running", "running", "running.solid"],
  ["failed", "failed", "failed.solid"],
  ["queued", "queued", "bg.emphasized"],
];
const COLORS = Object.fromEntries(LEGEND.map(([state, , color]) => [state, color])) as Record<ChunkState, string>;
const NAMES = Object.fromEntries(LEGEND.map(([state, name]) => [state, name])) as Record<ChunkState, string>;

const told = (chunk: Chunk): string =>
  [
    `Chunk ${chunk.index + 1}${chunk.label ? ` (${chunk.label})` : ""}: ${NAMES[chunk.state]}`,
    chunk.state === "running" && chunk.percent !== null ? percent(chunk.percent) : null,
    chunk.wall_s === null ? null : span(chunk.wall_s),
    chunk.host,
    chunk.tries > 1 ? `${chunk.tries} tries` : null,
  ]
    .filter(Boolean)
    .join(", ");

function byHost(chunks: Chunk[]): [host: string, chunks: Chunk[]][] {
  const hosts = new Map<string, Chunk[]>();
  for (const chunk of chunks) {
    const host = chunk.host ?? "";
    const own = hosts.get(host);
    if (own) own.push(chunk);
    else hosts.set(host, [chunk]);
  }
  // Those that wait for a host come last.
  return [...hosts].sort(([one], [other]) => Number(one === "") - Number(other === "") || one.localeCompare(other));
}

interface Props {
  chunks: Chunk[];
  dagId: string;
  runId: string;
  highlight: number | null;
}

export function ChunkStrip({ chunks, dagId, runId, highlight }: Props) {
  const [shown, setShown] = useState<number | null>(highlight);
  const box = useRef<HTMLDivElement>(null);
  const hosts = byHost(chunks);
  const order = hosts.flatMap(([, own]) => own.map((chunk) => chunk.index));
  const active = shown !== null && order.includes(shown) ? shown : order[0];
  const detail = chunks.find((chunk) => chunk.index === shown);
  const counts = (state: ChunkState): number => chunks.filter((chunk) => chunk.state === state).length;

  // One stop of the tab key for all cells: arrows go from one to the next.
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = order.indexOf(active ?? 0);
    const to = event.key === "Home" ? 0 : event.key === "End" ? order.length - 1 : step === undefined ? -1 : at + step;
    const index = order[to];
    if (index === undefined) return;
    event.preventDefault();
    setShown(index);
    box.current?.querySelector<HTMLElement>(`[data-chunk="${index}"]`)?.focus();
  };

  return (
    <Card
      aside={
        <HStack color="fg.muted" fontSize="xs" gap={3} wrap="wrap">
          {LEGEND.map(([state, name, color]) => {
            const number = counts(state);
            if (!number) return null;
            return (
              <HStack gap={1.5} key={state}>
                <Box bg={color} borderRadius="2px" boxSize={2.5} />
                <span>
                  {number} {name}
                </span>
              </HStack>
            );
          })}
        </HStack>
      }
      title={`Chunks (${chunks.length})`}
    >
      <Stack gap={4} onKeyDown={move} ref={box}>
        {hosts.map(([host, own]) => (
          <Box key={host}>
            <Text color="fg.muted" fontSize="xs" mb={1.5}>
              {host || "waiting for a host"} · {count(own.length, "chunk")}
            </Text>
            <Grid
              aria-label={host || "waiting for a host"}
              gap={1}
              role="group"
              templateColumns={`repeat(auto-fill, minmax(clamp(1.25rem, calc(100% / ${own.length} - 0.25rem), 3.5rem), 1fr))`}
            >
              {own.map((chunk) => (
                <Cell
                  chunk={chunk}
                  key={chunk.index}
                  marked={chunk.index === highlight}
                  show={() => setShown(chunk.index)}
                  tabIndex={chunk.index === active ? 0 : -1}
                  to={chunkPath(dagId, runId, "transcode", chunk.index)}
                />
              ))}
            </Grid>
          </Box>
        ))}
        <Text aria-hidden="true" color="fg.muted" fontSize="xs" minH={4}>
          {detail ? told(detail) : "Point at a chunk for its facts; press it for its log."}
        </Text>
      </Stack>
    </Card>
  );
}

interface CellProps {
  chunk: Chunk;
  to: string;
  tabIndex: number;
  marked: boolean;
  show: () => void;
}

const CellLink = chakra(RouterLink);

function Cell({ chunk, to, tabIndex, marked, show }: CellProps) {
  const filled = chunk.state === "running" ? (chunk.percent ?? 0) : chunk.state === "queued" ? 0 : 100;
  return (
    <CellLink
      _focusVisible={{ outline: "2px solid", outlineColor: "brand.focusRing", outlineOffset: "1px" }}
      _hover={{ borderColor: "fg.muted" }}
      aria-label={told(chunk)}
      bg="bg.emphasized"
      borderColor={marked ? "fg" : "border.emphasized"}
      borderRadius="3px"
      borderWidth="1px"
      data-chunk={chunk.index}
      data-state={chunk.state}
      display="block"
      h={6}
      onFocus={show}
      onMouseEnter={show}
      overflow="hidden"
      position="relative"
      tabIndex={tabIndex}
      to={to}
    >
      <Box
        bg={COLORS[chunk.state]}
        bottom={0}
        left={0}
        position="absolute"
        right={0}
        style={{ height: `${filled}%` }}
        transition="height 0.6s"
      />
    </CellLink>
  );
}

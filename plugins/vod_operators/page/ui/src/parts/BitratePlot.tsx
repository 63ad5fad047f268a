// Bitrate over time, a line of steps for each rendition: a segment is as wide as it is long.
import { Box, Button, chakra, Flex, HStack, Text } from "@chakra-ui/react";
import { type PointerEvent, type RefObject, useContext, useEffect, useRef, useState } from "react";

import { bitrate, clock } from "../format";
import { ShowContext } from "../player/moments";
import type { Bitrates } from "../types";

type Series = Bitrates["renditions"][number];

const HEIGHT = 240;
const MARGIN = { left: 48, right: 12, top: 10, bottom: 24 };
/** Palettes of Airflow's theme that keep apart in light and dark, the greatest rendition first. */
const PALETTES = [
  "blue",
  "orange",
  "green",
  "purple",
  "red",
  "teal",
  "pink",
  "amber",
  "indigo",
  "lime",
  "cyan",
  "fuchsia",
  "stone",
];

const color = (index: number): string => `var(--chakra-colors-${PALETTES[index % PALETTES.length]}-solid)`;

/** About `about` round numbers up to `most`: 1, 2 or 5 times a power of ten. */
function ticks(most: number, about: number): number[] {
  const raw = most / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw)!;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/** The width of an element in pixels, now and whenever it changes. */
function useWidth(): [ref: RefObject<HTMLDivElement | null>, width: number] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

const TIMES_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
function timeTicks(length: number, most: number): number[] {
  const step = TIMES_S.find((candidate) => length / candidate <= most) ?? 7200;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}

interface Props {
  bitrates: Bitrates;
  /** Rendition -> the worst of its pictures: when they come, and what is told of them. */
  worst?: ReadonlyMap<string, { at: number; text: string }>;
}

export function BitratePlot({ bitrates, worst = new Map() }: Props) {
  const show = useContext(ShowContext);
  const all = bitrates.renditions
    .filter(({ segments }) => segments.length)
    .sort((one, other) => other.average_bps - one.average_bps);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(
    () => new Set(all.filter(({ kind }) => kind === "text").map(({ name }) => name)),
  );
  const [at, setAt] = useState<number | null>(null);
  const [ref, width] = useWidth();
  const shown = all.filter(({ name }) => !hidden.has(name));
  if (!all.length) return null;

  const length = Math.max(...all.flatMap(({ segments }) => segments.map(([begin, duration]) => begin + duration)));
  const most = Math.max(1000, ...shown.flatMap(({ segments }) => segments.map(([, , bps]) => bps))) * 1.05;
  const plot = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const x = (time: number): number => MARGIN.left + (time / length) * plot.width;
  const y = (bps: number): number => MARGIN.top + plot.height - (bps / most) * plot.height;
  const line = ({ segments }: Series): string =>
    segments
      .map(
        ([begin, duration, bps], index) =>
          `${index ? "L" : "M"}${x(begin).toFixed(1)} ${y(bps).toFixed(1)}H${x(begin + duration).toFixed(1)}`,
      )
      .join("");
  const point = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const time = (event.clientX - box.left - MARGIN.left) / plot.width;
    setAt(time >= 0 && time <= 1 ? time * length : null);
  };
  const toggle = (name: string): void =>
    setHidden((old) => {
      const next = new Set(old);
      if (!next.delete(name)) next.add(name);
      return next;
    });
  const valueAt = ({ segments }: Series, time: number | null): number | null => {
    if (time === null) return null;
    return segments.find(([begin, duration]) => time >= begin && time < begin + duration)?.[2] ?? null;
  };
  const label = `Bitrate over time. ${shown.map((series) => `${series.name}: average ${bitrate(series.average_bps)}, peak ${bitrate(series.peak_bps)}${worst.has(series.name) ? `, ${worst.get(series.name)!.text}` : ""}`).join("; ")}.`;

  return (
    <Box>
      <Box h={`${HEIGHT}px`} ref={ref}>
        <chakra.svg
          aria-label={label}
          cursor={show ? "pointer" : undefined}
          display="block"
          fontSize="11px"
          h={`${HEIGHT}px`}
          onClick={() => at !== null && show?.(at)}
          onPointerLeave={() => setAt(null)}
          onPointerMove={point}
          role="img"
          w="full"
        >
          {ticks(most, 4).map((tick) => (
            <g key={tick}>
              <chakra.line stroke="border" x1={MARGIN.left} x2={width - MARGIN.right} y1={y(tick)} y2={y(tick)} />
              <chakra.text dominantBaseline="middle" fill="fg.muted" textAnchor="end" x={MARGIN.left - 6} y={y(tick)}>
                {tick === 0 ? "0" : tick >= 1e6 ? `${tick / 1e6} M` : `${tick / 1000} k`}
              </chakra.text>
            </g>
          ))}
          {timeTicks(length, Math.max(2, width / 90)).map((tick) => (
            <chakra.text
              fill="fg.muted"
              key={tick}
              textAnchor={tick === 0 ? "start" : x(tick) > width - 30 ? "end" : "middle"}
              x={x(tick)}
              y={HEIGHT - 6}
            >
              {clock(tick, tick % 1 !== 0)}
            </chakra.text>
          ))}
          {shown.map((series) => (
            <path
              d={line(series)}
              fill="none"
              key={series.name}
              stroke={color(all.indexOf(series))}
              strokeWidth="2"
              vectorEffect="non-scaling-stroke"
            />
          ))}
          {shown.map((series) => {
            const mark = worst.get(series.name);
            const bps = valueAt(series, mark?.at ?? null);
            return mark && bps !== null ? (
              <chakra.circle
                cx={x(mark.at)}
                cy={y(bps)}
                data-worst={series.name}
                fill="bg"
                key={series.name}
                r={4.5}
                style={{ stroke: color(all.indexOf(series)), strokeWidth: 2.5 }}
              >
                <title>{`${series.name}: ${mark.text}`}</title>
              </chakra.circle>
            ) : null;
          })}
          {at === null ? null : (
            <chakra.line
              stroke="fg.muted"
              strokeDasharray="3 3"
              x1={x(at)}
              x2={x(at)}
              y1={MARGIN.top}
              y2={HEIGHT - MARGIN.bottom}
            />
          )}
        </chakra.svg>
      </Box>
      <Flex gap={1.5} mt={2} wrap="wrap">
        {all.map((series, index) => {
          const value = valueAt(series, at);
          return (
            <Button
              aria-label={`Show ${series.name}`}
              aria-pressed={!hidden.has(series.name)}
              color="fg"
              key={series.name}
              onClick={() => toggle(series.name)}
              opacity={hidden.has(series.name) ? 0.55 : 1}
              size="2xs"
              variant="ghost"
            >
              <Box borderRadius="2px" boxSize={2.5} style={{ background: color(index) }} />
              {series.name}
              {value === null || hidden.has(series.name) ? null : (
                <Text as="span" color="fg.muted" fontVariantNumeric="tabular-nums">
                  {bitrate(value)}
                </Text>
              )}
            </Button>
          );
        })}
        <HStack color="fg.muted" fontSize="xs" ml="auto">
          {at !== null
            ? `at ${clock(at, length < 60)}`
            : `bits a second, by segment${worst.size ? "; a ring is where the worst pictures are" : ""}`}
        </HStack>
      </Flex>
    </Box>
  );
}

// What was found in the source's pictures and sound, in words.
import { Box, Stack, Text } from "@chakra-ui/react";
import type { ReactNode } from "react";

import { clock, count, span } from "../format";
import { Moment } from "../player/moments";
import type { SourceReport as Report, Stretch } from "../types";
import { Facts } from "./Facts";

/** How many stretches of a kind are listed before the rest is folded. */
const MOST = 8;

interface Props<S extends Stretch> {
  stretches: S[];
  /** How many more there are. */
  unlisted: number | undefined;
  what: string;
  more?: (one: S) => string;
}

function Stretches<S extends Stretch>({ stretches, unlisted = 0, what, more = () => "" }: Props<S>) {
  const list = (some: S[]): ReactNode => (
    <Stack as="ul" gap={0.5} listStyleType="none">
      {some.map((one) => (
        <Box as="li" key={`${one.start_s} ${more(one)}`}>
          <Moment at={one.start_s} what={what} /> to {clock(one.end_s, true)}, {span(one.end_s - one.start_s)}
          {more(one)}
        </Box>
      ))}
    </Stack>
  );
  const rest = stretches.slice(MOST);
  return (
    <>
      {list(stretches.slice(0, MOST))}
      {rest.length ? (
        <details>
          <summary>{rest.length} more</summary>
          {list(rest)}
        </details>
      ) : null}
      {unlisted ? <div>and {unlisted} more that are not listed</div> : null}
    </>
  );
}

/** "140 lines above, 138 below". */
function barsOf(bars: NonNullable<Report["bars"]>): string {
  const sides = [
    [bars.top, "lines above"],
    [bars.bottom, "lines below"],
    [bars.left, "columns left"],
    [bars.right, "columns right"],
  ] as const;
  return sides
    .filter(([pixels]) => pixels > 0)
    .map(([pixels, side]) => `${pixels} ${side}`)
    .join(", ");
}

const decibels = (value: number, unit: string): string =>
  `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)} ${unit}`;

/** Quieter is silence (EBU R128). */
const SILENCE_LUFS = -70;

export function SourceReport({ report }: { report: Report }) {
  const listed = <S extends Stretch>(
    kind: "black" | "frozen" | "flashes" | "silent" | "clipped",
    stretches: S[] | null,
    what: string,
    more?: (one: S) => string,
  ): ReactNode =>
    stretches?.length ? (
      <Stretches more={more} stretches={stretches} unlisted={report.left_out[kind]} what={what} />
    ) : null;
  const found: [name: string, value: ReactNode][] = [
    ["Flashes", listed("flashes", report.flashes, "flashes")],
    ["Black", listed("black", report.black, "black pictures", ({ faded }) => (faded ? ", faded" : ""))],
    ["Frozen", listed("frozen", report.frozen, "a frozen picture")],
    ["Bars", report.bars ? barsOf(report.bars) : null],
    ["Silent", listed("silent", report.silent, "silence", ({ track }) => `, ${track}`)],
    [
      "Clipped",
      listed(
        "clipped",
        report.clipped,
        "clipped sound",
        ({ track, samples }) => `, ${track}, ${count(samples, "sample")}`,
      ),
    ],
  ];
  const loudness = (report.loudness ?? []).map(({ track, integrated_lufs, true_peak_dbtp, range_lu }) => (
    <div key={track}>
      {track}:{" "}
      {integrated_lufs <= SILENCE_LUFS
        ? "silence"
        : `${decibels(integrated_lufs, "LUFS")}, peak ${decibels(true_peak_dbtp, "dBTP")}, range ${decibels(range_lu, "LU")}`}
    </div>
  ));
  return (
    <Stack fontSize="sm" gap={3}>
      {found.every(([, value]) => value === null) ? (
        <Text color="fg.muted">No black or frozen pictures, flashes, bars, silence or clipped sound.</Text>
      ) : null}
      <Facts facts={[...found, ["Loudness", loudness.length ? loudness : null]]} />
      {report.stills_are_usual ? (
        <Text color="fg.muted">Pictures stand still so often, as slides do, that none is called frozen.</Text>
      ) : null}
    </Stack>
  );
}

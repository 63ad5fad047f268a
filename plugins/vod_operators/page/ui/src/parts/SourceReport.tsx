// What was found in the source's pictures and sound, in words.
import { Box, Stack, Text } from "@chakra-ui/react";
import { Fragment, type ReactNode } from "react";

import { clock, count, span } from "../format";
import { Moment } from "../player/moments";
import type { SourceReport as Report, Stretch } from "../types";
import { Facts } from "./Facts";

/** How many stretches of a kind are listed before the rest is folded. */
const MOST = 8;

function Stretches<S extends Stretch>({
  stretches,
  what,
  more,
}: {
  stretches: S[];
  what: string;
  more?: (one: S) => string;
}) {
  if (!stretches.length) return null;
  const list = (some: S[]): ReactNode =>
    some.map((one) => (
      <Box as="li" key={`${one.start_s} ${more?.(one)}`}>
        <Moment at={one.start_s} what={what} /> to {clock(one.end_s, true)}, {span(one.end_s - one.start_s)}
        {more ? `, ${more(one)}` : ""}
      </Box>
    ));
  const rest = stretches.slice(MOST);
  return (
    <>
      <Stack as="ul" gap={0.5} listStyleType="none">
        {list(stretches.slice(0, MOST))}
      </Stack>
      {rest.length ? (
        <details>
          <summary>{rest.length} more</summary>
          <Stack as="ul" gap={0.5} listStyleType="none">
            {list(rest)}
          </Stack>
        </details>
      ) : null}
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

const decibels = (value: number | null, unit: string): string | null =>
  value === null ? null : `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)} ${unit}`;

export function SourceReport({ report }: { report: Report }) {
  const found =
    report.black.length ||
    report.frozen.length ||
    report.flashes.length ||
    report.silent.length ||
    report.clipped.length ||
    report.bars;
  return (
    <Stack gap={3}>
      {found ? null : (
        <Text color="fg.muted" fontSize="sm">
          No black or frozen pictures, flashes, bars, silence or clipped sound.
        </Text>
      )}
      <Facts
        facts={[
          ["Flashes", report.flashes.length ? <Stretches stretches={report.flashes} what="flashes" /> : null],
          ["Black", report.black.length ? <Stretches stretches={report.black} what="black pictures" /> : null],
          ["Frozen", report.frozen.length ? <Stretches stretches={report.frozen} what="a frozen picture" /> : null],
          ["Bars", report.bars ? barsOf(report.bars) : null],
          [
            "Silent",
            report.silent.length ? (
              <Stretches more={({ track }) => track} stretches={report.silent} what="silence" />
            ) : null,
          ],
          [
            "Clipped",
            report.clipped.length ? (
              <Stretches
                more={({ track, samples }) => `${track}, ${count(samples, "sample")}`}
                stretches={report.clipped}
                what="clipped sound"
              />
            ) : null,
          ],
          [
            "Loudness",
            report.loudness.length
              ? report.loudness.map(({ track, integrated_lufs, true_peak_dbtp, range_lu }) => (
                  <Fragment key={track}>
                    <div>
                      {track}:{" "}
                      {[
                        decibels(integrated_lufs, "LUFS"),
                        true_peak_dbtp === null ? null : `peak ${decibels(true_peak_dbtp, "dBTP")}`,
                        range_lu === null ? null : `range ${decibels(range_lu, "LU")}`,
                      ]
                        .filter(Boolean)
                        .join(", ") || "silent"}
                    </div>
                  </Fragment>
                ))
              : null,
          ],
        ]}
      />
    </Stack>
  );
}

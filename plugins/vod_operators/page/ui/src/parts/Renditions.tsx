import { Badge, Box, Table, Text, VisuallyHidden } from "@chakra-ui/react";

import { bitrate, bytes, rate } from "../format";
import { Moment } from "../player/moments";
import { measured, reached, scoreOf, type Size, vmaf } from "../quality";
import type { Bitrates, Rendition, Target } from "../types";
import { FLUSH } from "./Card";

const KINDS = { video: "Pictures", audio: "Sound", text: "Subtitles" };

function shape(rendition: Rendition): string {
  if (rendition.kind === "video") {
    const fps = rendition.frame_rate ? ` · ${rate(rendition.frame_rate)}/s` : "";
    return `${rendition.width ?? "?"} × ${rendition.height ?? "?"}${fps}`;
  }
  const channels = rendition.channels ? `${rendition.channels} channel${rendition.channels > 1 ? "s" : ""}` : null;
  const more = [rendition.joc ? "Dolby Atmos" : null, rendition.copied ? "source's own" : null];
  return [rendition.language, channels, ...more, rendition.title].filter(Boolean).join(" · ") || "—";
}

/** Average and peak as bars on one scale, with the cap as a line across. */
function Meter({ rendition, cap, most }: { rendition: Rendition; cap: number | null; most: number }) {
  const width = (bps: number): string => `${(bps / most) * 100}%`;
  return (
    <Box aria-hidden="true" bg="bg.muted" borderRadius="sm" h={2.5} minW={24} position="relative">
      <Box
        bg="brand.muted"
        borderRadius="sm"
        h="full"
        position="absolute"
        style={{ width: width(rendition.peak_bps) }}
      />
      <Box
        bg="brand.solid"
        borderRadius="sm"
        h="full"
        position="absolute"
        style={{ width: width(rendition.average_bps) }}
      />
      {cap === null ? null : (
        <Box bg="fg" h={4} position="absolute" style={{ left: width(cap) }} top={-0.75} w="1.5px" />
      )}
    </Box>
  );
}

interface Props {
  renditions: Rendition[];
  bitrates: Bitrates | null;
  /** At which size the quality is shown that was measured. */
  size: Size;
}

export function Renditions({ renditions, bitrates, size }: Props) {
  const quality = measured(renditions);
  const aimed = renditions.some((rendition) => rendition.quality?.target);
  const caps = new Map(bitrates?.renditions.map(({ name, cap_bps }) => [name, cap_bps]));
  const most = 1.02 * Math.max(1, ...renditions.map(({ name, peak_bps }) => Math.max(peak_bps, caps.get(name) ?? 0)));
  return (
    <Table.ScrollArea position="relative">
      <Table.Root css={FLUSH} size="sm">
        <Table.Header>
          <Table.Row>
            {["Rendition", "Shape", "Codecs"].map((name) => (
              <Table.ColumnHeader key={name}>{name}</Table.ColumnHeader>
            ))}
            {quality
              ? ["VMAF", "5th percentile", "Worst", ...(aimed ? ["Asked"] : [])].map((name) => (
                  <Table.ColumnHeader key={name} textAlign="end">
                    {name}
                  </Table.ColumnHeader>
                ))
              : null}
            {["Size", "Average", "Peak", "Cap"].map((name) => (
              <Table.ColumnHeader key={name} textAlign="end">
                {name}
              </Table.ColumnHeader>
            ))}
            <Table.ColumnHeader minW={32}>
              <VisuallyHidden>Average, peak and cap as a bar</VisuallyHidden>
            </Table.ColumnHeader>
          </Table.Row>
        </Table.Header>
        <Table.Body fontVariantNumeric="tabular-nums">
          {renditions.map((rendition) => {
            const cap = caps.get(rendition.name) ?? null;
            return (
              <Table.Row key={rendition.name}>
                <Table.Cell whiteSpace="nowrap">
                  <Text as="span" fontWeight="semibold">
                    {rendition.name}
                  </Text>{" "}
                  <Text as="span" color="fg.muted" fontSize="xs">
                    {KINDS[rendition.kind]}
                  </Text>
                </Table.Cell>
                <Table.Cell whiteSpace="nowrap">{shape(rendition)}</Table.Cell>
                <Table.Cell fontFamily="mono" fontSize="xs" whiteSpace="nowrap">
                  {rendition.codecs || "—"}
                  {(rendition.video_range ?? "SDR") === "SDR" ? null : ` ${rendition.video_range}`}
                </Table.Cell>
                {quality ? <QualityCells aimed={aimed} rendition={rendition} size={size} /> : null}
                <Table.Cell textAlign="end" whiteSpace="nowrap">
                  {bytes(rendition.size_bytes)}
                </Table.Cell>
                <Table.Cell textAlign="end" whiteSpace="nowrap">
                  {bitrate(rendition.average_bps)}
                </Table.Cell>
                <Table.Cell textAlign="end" whiteSpace="nowrap">
                  {bitrate(rendition.peak_bps)}
                </Table.Cell>
                <Table.Cell textAlign="end" whiteSpace="nowrap">
                  {cap === null ? "—" : bitrate(cap)}
                </Table.Cell>
                <Table.Cell>
                  <Meter cap={cap} most={most} rendition={rendition} />
                </Table.Cell>
              </Table.Row>
            );
          })}
        </Table.Body>
      </Table.Root>
    </Table.ScrollArea>
  );
}

function QualityCells({ rendition, size, aimed }: { rendition: Rendition; size: Size; aimed: boolean }) {
  const score = scoreOf(rendition, size);
  const target = rendition.quality?.target;
  return (
    <>
      <Table.Cell fontWeight="semibold" textAlign="end">
        {score ? vmaf(score.mean) : "—"}
      </Table.Cell>
      <Table.Cell textAlign="end">{score ? vmaf(score.p5) : "—"}</Table.Cell>
      <Table.Cell textAlign="end" whiteSpace="nowrap">
        {score ? (
          <>
            {vmaf(score.worst)} at <Moment at={score.worst_at_s} what={`the worst pictures of ${rendition.name}`} />
          </>
        ) : (
          "—"
        )}
      </Table.Cell>
      {aimed ? (
        <Table.Cell textAlign="end" whiteSpace="nowrap">
          {target ? <Asked target={target} /> : "—"}
        </Table.Cell>
      ) : null}
    </>
  );
}

/** The target of a rendition, and what came of it; it is of the rendition's own size. */
function Asked({ target }: { target: Target }) {
  const { palette, text } = reached(target);
  return (
    <>
      {vmaf(target.vmaf).replace(/\.0$/, "")}{" "}
      <Badge colorPalette={palette} size="xs" variant="subtle">
        {text}
      </Badge>
      <Text color="fg.muted" fontSize="xs">
        CRF {target.crf}
        {target.first_crf === null ? "" : `, at first ${target.first_crf}`}
      </Text>
    </>
  );
}

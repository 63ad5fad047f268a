import { Box, Table, Text, VisuallyHidden } from "@chakra-ui/react";

import { bitrate, bytes, rate } from "../format";
import type { Bitrates, Rendition } from "../types";
import { FLUSH } from "./Card";

const KINDS = { video: "Pictures", audio: "Sound", text: "Subtitles" };

function shape(rendition: Rendition): string {
  if (rendition.kind === "video") {
    const fps = rendition.frame_rate ? ` · ${rate(rendition.frame_rate)}/s` : "";
    return `${rendition.width ?? "?"} × ${rendition.height ?? "?"}${fps}`;
  }
  const channels = rendition.channels ? `${rendition.channels} channel${rendition.channels > 1 ? "s" : ""}` : null;
  return [rendition.language, channels, rendition.title].filter(Boolean).join(" · ") || "—";
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

export function Renditions({ renditions, bitrates }: { renditions: Rendition[]; bitrates: Bitrates | null }) {
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
                </Table.Cell>
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
